"""The whole path, by the README's own commands: preprocess, train, caption, evaluate."""

import contextlib
import csv
import dataclasses
import html
import importlib
import io
import json
import re
import shlex
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline import caption
from tests.faults.jobs import tree
from transforms import captions_table, sample
from transforms.commandline import Exit
from transforms.errors import UsageError

ROOT = Path(__file__).parents[2]
COUNT = 300
SHOWN = 100  # Pictures on the page.
# What training is given beside the README's flags: a decoder that learns so few pictures, soon.
SMALL = ["--epochs=12", "--units=192", "--embedding=96", "--hidden=192", "--batch_images=16"]
SMALL += ["--learning_rate=0.003", "--averaging=0.9", "--warmup_steps=20"]
SMALL += ["--dropout=0.2", "--feature_dropout=0.1", "--label_smoothing=0"]


def steps() -> list[list[str]]:
    """Return the words of each command of the README's steps, which are a block of code each."""
    text = (ROOT / "README.md").read_text().partition("\n## Five minutes")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [shlex.split(block.replace("\\\n", " ")) for block in blocks]


def run(words: list[str]) -> str:
    """Run a command in this process, which has TensorFlow already; returns what it prints."""
    interpreter, kind, program, *flags = words
    assert interpreter == ".venv/bin/python"
    with contextlib.redirect_stdout(io.StringIO()) as said:
        if kind == "-c":
            exec(program, {})
        else:
            assert kind == "-m"
            more = SMALL if program == "trainer.task" else []
            assert importlib.import_module(program).main([*flags, *more]) is Exit.DONE
    return said.getvalue()


@dataclasses.dataclass(frozen=True)
class Done:
    """A folder in which the README was followed, and what each of its commands printed."""

    folder: Path
    said: list[str]

    @property
    def photos(self) -> Path:
        return self.folder / "photos"

    @property
    def mine(self) -> Path:
        return self.folder / "out" / "mine"

    def rows(self) -> dict[str, dict]:
        return {row["key"]: row for row in captions_table.rows(str(self.mine / "captions"))}

    def flags(self, output: str = "captions") -> list[str]:
        """Return the flags that caption the pictures again."""
        captioner, written = self.mine / "captioner", self.mine / output
        return [f"--images={self.photos}", f"--captioner={captioner}", f"--output={written}"]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """The README's steps with nothing but `photos` and `captions.csv`, two without captions."""
    folder = tmp_path_factory.mktemp("path")
    sample.write(folder / "sample", COUNT)
    photos = (folder / "sample" / "images").rename(folder / "photos")
    (photos / "broken.jpg").write_bytes(b"\xff\xd8 broken")
    (photos / "again.jpg").write_bytes((photos / "scene-00000.jpg").read_bytes())
    lines = (folder / "sample" / "captions.token.txt").read_text().splitlines()
    pairs = [line.split("\t") for line in lines]
    with (folder / "captions.csv").open("w", newline="") as stream:
        rows = ((name.partition("#")[0], text) for name, text in pairs)
        csv.writer(stream).writerows([("image", "caption"), *rows])
    with contextlib.chdir(folder):
        return Done(folder, [run(words) for words in steps()])


def test_the_readme_has_the_four_steps_and_the_table() -> None:
    programs = ["pipeline.preprocess", "trainer.task", "pipeline.caption", "pipeline.evaluate"]
    assert [words[2] for words in steps() if words[1] == "-m"] == programs
    assert len(steps()) == 5


def test_every_picture_has_a_row_or_a_reject(done: Done) -> None:
    names = {path.name for path in done.photos.iterdir()}
    rejects = pq.read_table(done.mine / "dataset" / "rejects.parquet").to_pylist()
    assert {row["key"] for row in rejects} == {"broken.jpg", "again.jpg"}
    rows = done.rows()
    assert set(rows) == names - {"broken.jpg"}
    (reject,) = pq.read_table(done.mine / "captions" / "rejects.parquet").to_pylist()
    assert (reject["key"], reject["stage"]) == ("broken.jpg", "decode")
    for row in rows.values():
        assert row["caption"]
        assert (row["width"], row["height"]) == (256, 192)
        scores = [row["score"], *(other["score"] for other in row["alternatives"])]
        assert scores == sorted(scores, reverse=True)
        assert len(scores) == 3


def test_the_table_is_printed(done: Done) -> None:
    assert f"[{COUNT + 1} rows x 8 columns]" in done.said[3]


def test_the_same_bytes_have_the_same_caption(done: Done) -> None:
    rows = done.rows()
    for column in ("sha256", "caption", "score", "alternatives"):
        assert rows["again.jpg"][column] == rows["scene-00000.jpg"][column]


def test_the_page_shows_captions(done: Done) -> None:
    page = html.unescape((done.mine / "captions" / "captions.html").read_text())
    shown = [row for key, row in done.rows().items() if key in page]
    assert len(re.findall(r'src="data:image/jpeg', page)) == len(shown) == SHOWN
    assert all(row["caption"] in page for row in shown)


def test_captions_of_held_out_pictures_beat_the_floor(done: Done) -> None:
    manifest = json.loads((done.mine / "dataset" / "dataset.json").read_text())
    report = json.loads((done.mine / "report" / "report.json").read_text())
    assert report["counts"]["evaluated"] == manifest["splits"]["test"]["images"] > COUNT / 20
    assert report["counts"]["references"] == 5 * report["counts"]["evaluated"]
    assert "references_without_caption" not in report["counts"]
    assert report["metrics"]["CIDEr"] > 1.3 * report["floor"]["metrics"]["CIDEr"]
    assert report["metrics"]["BLEU-4"] > report["floor"]["metrics"]["BLEU-4"]
    assert (done.mine / "report" / "report.html").is_file()


def test_captioning_again_changes_nothing(done: Done) -> None:
    before = tree(done.mine / "captions")
    assert caption.main(done.flags()) is Exit.DONE
    assert tree(done.mine / "captions") == before


def test_exports_say_what_the_table_says(done: Done) -> None:
    assert caption.main([*done.flags(), "--export=jsonl", "--export=coco"]) is Exit.DONE
    rows = done.rows()
    lines = (done.mine / "captions" / "captions.jsonl").read_text().splitlines()
    assert {row["key"]: row for row in map(json.loads, lines)} == rows
    results = json.loads((done.mine / "captions" / "captions.coco.json").read_text())
    assert {(r["image_id"], r["caption"]) for r in results} == {
        (key.removesuffix(".jpg"), row["caption"]) for key, row in rows.items()
    }


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
def test_wrong_use_is_one_line(done: Done, changed: str, message: str) -> None:
    flag = changed.split("=")[0] + "="
    flags = [each for each in done.flags("none") if not each.startswith(flag)]
    with pytest.raises(UsageError, match=re.escape(message)):
        caption.main([*flags, changed])
    assert not (done.mine / "none").exists()


def test_a_data_set_is_no_captioner(done: Done) -> None:
    flags = [each for each in done.flags("none") if not each.startswith("--captioner")]
    with pytest.raises(UsageError, match=r"there is no captioner\.json"):
        caption.main([*flags, f"--captioner={done.mine / 'dataset'}"])
