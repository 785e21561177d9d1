"""The whole path, as the README tells it: preprocess, train, caption, evaluate."""

import html
import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline import caption, evaluate, preprocess
from tests.faults.jobs import tree
from trainer import task
from transforms import captions_table, sample
from transforms.commandline import Exit
from transforms.errors import UsageError

COUNT = 300


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("path")
    sample.write(folder / "scenes", COUNT)
    return folder


@pytest.fixture(scope="module")
def captioner(scenes: Path) -> Path:
    lists = [f"--{s}_list={scenes}/scenes/{s}.txt" for s in ("train", "dev", "test")]
    flags = [
        f"--images={scenes}/scenes/images",
        f"--captions={scenes}/scenes/captions.token.txt",
        f"--output={scenes}/dataset",
        *lists,
    ]
    assert preprocess.main(flags) is Exit.DONE
    flags = [f"--dataset={scenes}/dataset", f"--output={scenes}/captioner", "--epochs=20"]
    flags += ["--units=192", "--embedding=96", "--hidden=192", "--batch_images=16"]
    flags += ["--learning_rate=0.003", "--averaging=0.9", "--warmup_steps=20"]
    flags += ["--dropout=0.2", "--feature_dropout=0.1", "--label_smoothing=0"]
    assert task.main(flags) is Exit.DONE
    return scenes / "captioner"


@pytest.fixture(scope="module")
def test_images(scenes: Path) -> Path:
    """The pictures of the test split, and two that are none."""
    folder = scenes / "held_out"
    folder.mkdir()
    for name in (scenes / "scenes" / "test.txt").read_text().split():
        (folder / name).write_bytes((scenes / "scenes" / "images" / name).read_bytes())
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 broken")
    (folder / "again.jpg").write_bytes((folder / name).read_bytes())
    return folder


@pytest.fixture(scope="module")
def captions(scenes: Path, captioner: Path, test_images: Path) -> Path:
    flags = [f"--images={test_images}", f"--captioner={captioner}", f"--output={scenes}/captions"]
    assert caption.main([*flags, "--export=jsonl", "--export=coco"]) is Exit.DONE
    return scenes / "captions"


def test_every_picture_has_a_row_or_a_reject(captions: Path, test_images: Path) -> None:
    rows = {row["key"]: row for row in captions_table.rows(str(captions))}
    names = {path.name for path in test_images.iterdir()}
    assert set(rows) == names - {"broken.jpg"}
    (reject,) = pq.read_table(captions / "rejects.parquet").to_pylist()
    assert (reject["key"], reject["stage"]) == ("broken.jpg", "decode")
    for row in rows.values():
        assert row["caption"]
        assert (row["width"], row["height"]) == (256, 192)
        scores = [row["score"], *(other["score"] for other in row["alternatives"])]
        assert scores == sorted(scores, reverse=True)
        assert len(scores) == 3


def test_the_same_bytes_have_the_same_caption(captions: Path, test_images: Path) -> None:
    rows = {row["key"]: row for row in captions_table.rows(str(captions))}
    original = sorted(p.name for p in test_images.iterdir() if p.name.startswith("scene"))[-1]
    for column in ("sha256", "caption", "score", "alternatives"):
        assert rows["again.jpg"][column] == rows[original][column]


def test_exports_say_what_the_table_says(captions: Path) -> None:
    rows = {row["key"]: row for row in captions_table.rows(str(captions))}
    lines = (captions / "captions.jsonl").read_text().splitlines()
    assert {row["key"]: row for row in map(json.loads, lines)} == rows
    results = json.loads((captions / "captions.coco.json").read_text())
    assert {(r["image_id"], r["caption"]) for r in results} == {
        (key.removesuffix(".jpg"), row["caption"]) for key, row in rows.items()
    }


def test_the_page_shows_the_captions(captions: Path) -> None:
    page = html.unescape((captions / "captions.html").read_text())
    for row in captions_table.rows(str(captions)):
        assert row["caption"] in page
    assert len(re.findall(r'src="data:image/jpeg', page)) == len(
        list(captions_table.rows(str(captions)))
    )


def test_captions_beat_the_floor(scenes: Path, captions: Path) -> None:
    flags = [
        f"--captions={captions}",
        f"--references={scenes}/scenes/captions.token.txt",
        f"--output={scenes}/report",
    ]
    evaluate.main(flags)
    report = json.loads((scenes / "report" / "report.json").read_text())
    assert report["metrics"]["CIDEr"] > 1.3 * report["floor"]["metrics"]["CIDEr"]
    assert report["metrics"]["BLEU-4"] > report["floor"]["metrics"]["BLEU-4"]
    assert (scenes / "report" / "report.html").is_file()


def test_captioning_again_changes_nothing(
    scenes: Path, captions: Path, captioner: Path, test_images: Path
) -> None:
    before = tree(captions)
    flags = [f"--images={test_images}", f"--captioner={captioner}", f"--output={captions}"]
    assert caption.main([*flags, "--export=jsonl", "--export=coco"]) is Exit.DONE
    assert tree(captions) == before


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ("--images=nowhere", "there is no folder /"),
        ("--captioner=nowhere", "there is no captioner.json: make a captioner with"),
        ("--beam_width=0", "0 is less than 1"),
        ("--export=xml", "invalid choice: 'xml'"),
        ("--captoner=x", "did you mean --captioner?"),
    ],
)
def test_wrong_use_is_one_line(
    scenes: Path, captioner: Path, test_images: Path, changed: str, message: str
) -> None:
    flags = [f"--images={test_images}", f"--captioner={captioner}", f"--output={scenes}/none"]
    flags = [flag for flag in flags if not flag.startswith(changed.split("=")[0] + "=")]
    with pytest.raises(UsageError, match=re.escape(message)):
        caption.main([*flags, changed])
    assert not (scenes / "none").exists()


def test_a_data_set_is_no_captioner(scenes: Path, captioner: Path, test_images: Path) -> None:
    flags = [f"--images={test_images}", f"--captioner={scenes}/dataset", f"--output={scenes}/none"]
    with pytest.raises(UsageError, match=r"there is no captioner\.json"):
        caption.main(flags)
