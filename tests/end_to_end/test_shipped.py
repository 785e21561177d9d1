"""The captioners that come with the package, as a newcomer meets them."""

import re
from pathlib import Path

import pytest

from pipeline import caption
from tests import data
from transforms import captioner, captions_table, compact
from transforms.commandline import Exit
from transforms.errors import UsageError

SHIPPED = [("en", False), ("en", True), ("zh", False)]
MOST_BYTES = 12_000_000


@pytest.mark.parametrize(("language", "fast"), SHIPPED)
def test_it_is_small_and_says_what_it_was_made_of(language: str, fast: bool) -> None:
    folder = Path(str(compact.shipped(language, fast=fast)))
    assert sum(path.stat().st_size for path in folder.rglob("*")) < MOST_BYTES
    scores = captioner.read_manifest(str(folder))["metrics"]["scores"]
    card = (folder / "MODEL_CARD.md").read_text()
    assert f"{scores['CIDEr']:.3f}" in card
    assert "non-commercial research and education" in card
    assert "python -m trainer.compact" in card


@pytest.mark.parametrize(("language", "fast"), SHIPPED)
def test_photographs_are_captioned_without_naming_a_captioner(
    language: str, fast: bool, tmp_path: Path
) -> None:
    photographs = sorted((data.shared("coco_mini") / "val2017").glob("*.jpg"))[:3]
    listed = tmp_path / "photographs.txt"
    listed.write_text("".join(f"{path}\n" for path in photographs))
    flags = [f"--images={listed}", f"--output={tmp_path / 'out'}", "--engine=tensorflow"]
    if language != "en":
        flags.append(f"--language={language}")
    if fast:
        flags.append("--fast")
    assert caption.main(flags) == Exit.DONE
    captions = [row["caption"] for row in captions_table.rows(str(tmp_path / "out"))]
    assert len(captions) == len(photographs)
    script = r"[a-z' ]+" if language == "en" else r"[\u4e00-\u9fff]+"
    assert all(re.fullmatch(script, each.rstrip(".。 ")) for each in captions), captions


def test_a_captioner_has_its_language(captioner_folder: Path, tmp_path: Path) -> None:
    flags = [f"--captioner={captioner_folder}", "--language=zh", f"--output={tmp_path}"]
    with pytest.raises(UsageError, match="a captioner has its language; give one only"):
        caption.main([f"--images={tmp_path}", *flags])
    flags[1] = "--fast"
    with pytest.raises(UsageError, match="a captioner has its speed; give one only"):
        caption.main([f"--images={tmp_path}", *flags])


def test_the_fast_one_is_another_where_there_is_one() -> None:
    assert compact.shipped("en", fast=True) != compact.shipped("en")
    assert compact.shipped("zh", fast=True) == compact.shipped("zh")
    assert compact.shipped("eo", fast=True) is None
