"""The page of a captions table, from its rows."""

import hashlib
import io
import random
import tarfile
from pathlib import Path
from typing import Any

import pytest

from pipeline.captioning import page
from tests import captioners
from transforms import sources


def row(number: int, uri: str, content: bytes = b"") -> dict[str, Any]:
    digest = hashlib.sha256(content or str(number).encode()).hexdigest()
    return {
        "key": f"{number:04}.jpg",
        "uri": uri,
        "sha256": digest,
        "width": 64,
        "height": 48,
        "caption": "a wall",
        "score": -1.0,
        "alternatives": [],
    }


def test_what_is_shown_does_not_depend_on_the_rows_order() -> None:
    rows = [row(n, f"/a/{n % 30}.tar#{n}.jpg" if n % 2 else f"/a/{n}.jpg") for n in range(900)]
    chosen, total = page.choose(rows, 25)
    assert (len(chosen), total) == (25, 900)
    random.Random(0).shuffle(rows)
    assert page.choose(iter(rows), 25) == (chosen, total)
    assert [each["key"] for each in chosen] == sorted(each["key"] for each in chosen)


def test_only_some_archives_are_opened() -> None:
    rows = [row(n, f"/a/{n % 30}.tar#{n}.jpg") for n in range(900)]
    chosen, _ = page.choose(rows, 100)
    archives = {sources.archive(each["uri"]) for each in chosen}
    assert len(chosen) == 100
    assert len(archives) == page.ARCHIVES
    few = page.choose(rows[:3], 100)[0]
    assert few == rows[:3]


def test_a_picture_is_read_once_and_its_archive_listed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = captioners.jpegs(4)
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for number, content in enumerate(contents):
            member = tarfile.TarInfo(f"{number}.jpg")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    rows = [row(n, f"{path}#{n}.jpg", content) for n, content in enumerate(contents)]
    asked = []
    expand = sources.lookup.expand
    monkeypatch.setattr(sources.lookup, "expand", lambda file: asked.append(file) or expand(file))
    small = page.thumbnails(rows[:3], {})
    assert small.keys() == {each["sha256"] for each in rows[:3]}
    assert len(asked) == 1
    assert page.thumbnails(rows[1:3], small).keys() == {each["sha256"] for each in rows[1:3]}
    assert len(asked) == 1
    html = page.render(rows, page.thumbnails(rows, small), "Night", 4000, "en")
    assert html.count("data:image/jpeg") == 4
    assert len(asked) == 2


def test_another_picture_in_its_place_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "0.jpg").write_bytes(captioners.jpegs(1)[0])
    assert page.thumbnails([row(0, f"{tmp_path}/0.jpg", b"the one captioned")], {}) == {}
