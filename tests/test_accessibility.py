"""The programs of docs/accessibility.md, run as people would run them."""

import csv
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

PROGRAMS = re.findall(
    r"^```python\n(.*?)^```",
    (Path(__file__).parents[1] / "docs" / "accessibility.md").read_text(),
    re.MULTILINE | re.DOTALL,
)
HOSTILE = "\"<b>\" & 'quotes', a comma\nand a second line — 日本"


class Images(HTMLParser):
    """Collects the attributes of images."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag == "img"
        self.found.append(dict(attrs))


def write_captions(folder: Path, rows: list[tuple[str, str, float]]) -> None:
    """Write what `--export=jsonl` does of keys, digests and scores."""
    place = folder / "out" / "captions" / "captions.jsonl"
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("w", encoding="utf-8") as stream:
        for key, sha256, score in rows:
            row = {"key": key, "sha256": sha256, "caption": f"a {sha256}, maybe", "score": score}
            stream.write(json.dumps(row) + "\n")


def run(program: str, folder: Path) -> str:
    """Run a program in a folder; returns what it prints."""
    command = [sys.executable, "-X", "utf8", "-c", program]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def review(folder: Path) -> list[dict[str, str]]:
    """Return the table that people fill in."""
    with (folder / "texts.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_only_approved_texts_become_tags_and_they_are_escaped(tmp_path: Path) -> None:
    listing, tags = PROGRAMS
    hostile = 'a "b"/c & d?.jpg'
    write_captions(tmp_path, [("x.jpg", "s1", -1.0), ("y.jpg", "s2", -3.0), (hostile, "s3", -2.0)])
    run(listing, tmp_path)
    rows = review(tmp_path)
    assert [(row["sha256"], row["text"]) for row in rows] == [("s2", ""), ("s3", ""), ("s1", "")]
    assert rows[0]["caption"] == "a s2, maybe"
    assert run(tags, tmp_path) == ""

    texts = {"s2": "-", "s3": HOSTILE}
    with (tmp_path / "texts.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, list(rows[0]))
        table.writeheader()
        table.writerows({**row, "text": texts.get(row["sha256"], "")} for row in rows)
    # A later job: one picture is new, and one is gone.
    write_captions(tmp_path, [("z.jpg", "s4", -1.0), ("y.jpg", "s2", -3.0), (hostile, "s3", -2.0)])
    run(listing, tmp_path)
    assert [row["sha256"] for row in review(tmp_path)] == ["s2", "s3", "s1", "s4"]
    images = Images()
    images.feed(run(tags, tmp_path))
    shown = [(unquote(image["src"] or ""), image["alt"]) for image in images.found]
    assert shown == [("y.jpg", ""), (hostile, HOSTILE)]
