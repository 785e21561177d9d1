"""The captioners that come with the package, as a newcomer meets them."""

import itertools
import re
from html import escape
from pathlib import Path

import pytest

from pipeline import caption
from tests import data
from transforms import bundled, captioner, captions_table, engines, images
from transforms.commandline import Exit
from transforms.errors import UsageError
from transforms.stored import Form

SHIPPED = [("en", False), ("en", True), ("zh", False)]
MOST_BYTES = 12_000_000


@pytest.mark.parametrize(("language", "fast"), SHIPPED)
def test_it_is_small_and_says_what_it_was_made_of(language: str, fast: bool) -> None:
    folder = Path(str(bundled.captioner(language, fast=fast)))
    assert sum(path.stat().st_size for path in folder.rglob("*")) < MOST_BYTES
    scores = captioner.read_manifest(str(folder))["metrics"]["scores"]
    card = (folder / "MODEL_CARD.md").read_text()
    assert f"{scores['CIDEr']:.3f}" in card
    assert "non-commercial research and education" in card
    assert "python -m trainer.compact" in card


def captions(output: Path, photographs: int, *flags: str) -> dict[str, str]:
    """Caption some of COCO's photographs; returns the captions by the images' keys."""
    paths = sorted((data.shared("coco_mini") / "val2017").glob("*.jpg"))[:photographs]
    listed = output.with_suffix(".txt")
    listed.write_text("".join(f"{path}\n" for path in paths))
    assert caption.main([f"--images={listed}", f"--output={output}", *flags]) == Exit.DONE
    result = {row["key"]: row["caption"] for row in captions_table.rows(str(output))}
    assert len(result) == photographs
    return result


@pytest.mark.parametrize(
    ("language", "script"), [("en", r"[a-z' ]+"), ("zh", r"[\u4e00-\u9fff]+")], ids=["en", "zh"]
)
def test_photographs_are_captioned_without_naming_a_captioner(
    language: str, script: str, tmp_path: Path
) -> None:
    flags = [] if language == "en" else [f"--language={language}"]
    found = captions(tmp_path / "out", 3, "--engine=tensorflow", *flags)
    assert all(re.fullmatch(script, each.rstrip(".。 ")) for each in found.values()), found
    page = (tmp_path / "out" / "captions.html").read_text()
    assert all(f' lang="{language}">{escape(each)}<' in page for each in found.values())


def test_every_engine_says_the_same_of_photographs(tmp_path: Path) -> None:
    found = [
        captions(tmp_path / engine, 24, "--fast", f"--engine={engine}")
        for engine in engines.ENGINES
    ]
    assert found[0] == found[1] == found[2]
    assert len(set(found[0].values())) > 12


@pytest.mark.parametrize("flags", [[], ["--fast"]], ids=["en", "en-fast"])
def test_photographs_of_any_size_get_whole_sentences(flags: list[str], tmp_path: Path) -> None:
    # They were trained on small JPEGs, and of clean pictures would say "in a room" or "a a woman".
    found = captions(tmp_path / "out", 79, *flags)
    # Such a thumbnail is as clean as the pictures that it was made of.
    (tmp_path / "clean").mkdir()
    for path in sorted((data.shared("coco_mini") / "val2017").glob("*.jpg"))[:24]:
        small = images.decode(path.read_bytes(), Form((224, 224))).pixels
        (tmp_path / "clean" / path.name).write_bytes(images.to_jpeg(small))
    again = tmp_path / "again"
    assert caption.main([f"--images={tmp_path / 'clean'}", f"--output={again}", *flags]) == 0
    found |= {f"clean {row['key']}": row["caption"] for row in captions_table.rows(str(again))}
    assert len(found) == 79 + 24
    words = [re.findall(r"[a-z']+", each.lower()) for each in found.values()]
    assert not [each for each in words if len(each) < 4]
    assert not [each for each in words if any(a == b for a, b in itertools.pairwise(each))]


def test_a_captioner_has_its_language(captioner_folder: Path, tmp_path: Path) -> None:
    flags = [f"--captioner={captioner_folder}", "--language=zh", f"--output={tmp_path}"]
    with pytest.raises(UsageError, match="a captioner has its language; give one only"):
        caption.main([f"--images={tmp_path}", *flags])
    flags[1] = "--fast"
    with pytest.raises(UsageError, match="a captioner has its speed; give one only"):
        caption.main([f"--images={tmp_path}", *flags])


def test_the_fast_one_is_another_where_there_is_one() -> None:
    assert bundled.captioner("en", fast=True) != bundled.captioner("en")
    assert bundled.captioner("zh", fast=True) == bundled.captioner("zh")
    assert bundled.captioner("eo", fast=True) is None
