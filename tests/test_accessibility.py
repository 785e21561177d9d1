"""The programs of docs/accessibility.md, run as people would run them."""

import csv
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

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


def write_captions(
    folder: Path, rows: list[tuple[str, str, float]], gone: tuple[str, ...] = ()
) -> None:
    """Write what `--export=jsonl` does of keys, digests and scores, and files of all but `gone`."""
    for key in {key for key, *_ in rows}.difference(gone):
        picture = folder / "photos" / key
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.touch()
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
    with (folder / "texts.csv").open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def tagged(program: str, folder: Path) -> list[tuple[str, str | None]]:
    """Return the source and the text of each tag that a program prints."""
    images = Images()
    images.feed(run(program, folder))
    return [(unquote(image["src"] or ""), image["alt"]) for image in images.found]


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
    assert tagged(tags, tmp_path) == [("y.jpg", ""), (hostile, HOSTILE)]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_what_people_wrote_stays_as_a_spreadsheet_saved_it(tmp_path: Path, mark: str) -> None:
    listing, _ = PROGRAMS
    # Columns of people's own, one without a name, and no newline at the end.
    saved = (
        "by,text,sha256,key,,\r\n"
        'Zoë,"一只狗,\n跑",s1,x.jpg,seen,twice\r\n'
        "Ann,A dog runs.,s2,y.jpg,,"
    )
    (tmp_path / "texts.csv").write_bytes((mark + saved).encode())
    write_captions(tmp_path, [("x.jpg", "s1", -1.0), ("y.jpg", "s2", -2.0), ("z.jpg", "s3", -3.0)])
    run(listing, tmp_path)
    run(listing, tmp_path)
    # Excel takes a table for UTF-8 by its mark alone.
    written = ("\ufeff" + saved + "\r\n,,s3,z.jpg,,\r\n").encode()
    assert (tmp_path / "texts.csv").read_bytes() == written


def test_a_new_list_is_begun_with_the_mark_that_excel_needs(tmp_path: Path) -> None:
    write_captions(tmp_path, [("x.jpg", "s1", -1.0)])
    run(PROGRAMS[0], tmp_path)
    written = (tmp_path / "texts.csv").read_bytes()
    assert written == '\ufeffsha256,key,caption,text\r\ns1,x.jpg,"a s1, maybe",\r\n'.encode()


def test_no_name_of_a_picture_is_a_formula(tmp_path: Path) -> None:
    listing, tags = PROGRAMS
    names = ["=HYPERLINK(A1).jpg", "@sum.jpg", "a=b.jpg"]
    write_captions(tmp_path, [(name, name[1:], -1.0) for name in names])
    run(listing, tmp_path)
    run(listing, tmp_path)
    assert [row["key"] for row in review(tmp_path)] == [f"./{names[0]}", f"./{names[1]}", names[2]]
    place = tmp_path / "texts.csv"
    place.write_bytes(place.read_bytes().replace(b'maybe",', b'maybe",A text.'))
    assert [source for source, _ in tagged(tags, tmp_path)] == names


def test_pictures_are_named_where_they_are_now_and_others_not_at_all(tmp_path: Path) -> None:
    listing, tags = PROGRAMS
    old = [("a/x.jpg", "s1", -1.0), ("y.jpg", "s2", -2.0)]
    write_captions(tmp_path, old)
    run(listing, tmp_path)
    place = tmp_path / "texts.csv"
    place.write_bytes(place.read_bytes().replace(b'maybe",', b'maybe",A text.'))
    # A folder was moved, a picture deleted; a new one was moved, another deleted before the list
    # was made again. The captions table keeps the rows of all.
    (tmp_path / "photos" / "a").rename(tmp_path / "photos" / "b")
    (tmp_path / "photos" / "y.jpg").unlink()
    new = [("b/x.jpg", "s1", -1.0), ("c/z.jpg", "s3", -3.0), ("a/z.jpg", "s3", -3.0)]
    gone = ("a/x.jpg", "y.jpg", "a/z.jpg", "w.jpg")
    write_captions(tmp_path, [*old, *new, ("w.jpg", "s4", -4.0)], gone)
    run(listing, tmp_path)
    rows = [(row["key"], row["sha256"], row["text"]) for row in review(tmp_path)]
    # The text of the deleted one stays, should it come back.
    texts = [("y.jpg", "s2", "A text."), ("b/x.jpg", "s1", "A text.")]
    assert rows == [*texts, ("c/z.jpg", "s3", "")]
    assert tagged(tags, tmp_path) == [("b/x.jpg", "A text.")]
