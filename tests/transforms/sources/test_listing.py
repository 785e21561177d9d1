"""Listing folders and globs."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms import sources
from transforms.errors import UsageError
from transforms.rejects import Reject, RejectCode

UNSUPPORTED = RejectCode.IMAGE_FORMAT_UNSUPPORTED


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.jpg", "B.JPG", "c.txt", "d/e.png", "d/f/g.jpeg", ".h.jpg", ".t/i.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def keys(spec: object) -> list[str]:
    return [ref.key for ref in sources.list_images(str(spec))]


def test_a_folder_at_any_depth_in_any_case(folder: Path) -> None:
    assert keys(folder) == ["B.JPG", "a.jpg", "d/e.png", "d/f/g.jpeg"]
    assert keys(f"{folder}/") == keys(folder)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.jpg", [".h.jpg", "B.JPG", "a.jpg"]),
        ("**.jpg", [".h.jpg", ".t/i.jpg", "B.JPG", "a.jpg"]),
        ("**/*.jp*g", [".h.jpg", ".t/i.jpg", "B.JPG", "a.jpg", "d/f/g.jpeg"]),
        ("[ab].jpg", ["B.JPG", "a.jpg"]),
        ("?.txt", ["c.txt"]),
        ("d/*", ["e.png"]),
    ],
)
def test_globs(folder: Path, pattern: str, expected: list[str]) -> None:
    assert keys(f"{folder}/{pattern}") == expected


def test_a_single_file(folder: Path) -> None:
    (folder / "c.dat").write_bytes(b"x")
    assert keys(folder / "c.dat") == ["c.dat"]


def test_a_folder_whose_name_looks_like_a_glob(tmp_path: Path) -> None:
    odd = tmp_path / "photos [2024]"
    odd.mkdir()
    (odd / "a.jpg").write_bytes(b"x")
    assert keys(odd) == ["a.jpg"]


def test_pictures_in_formats_that_are_not_read_are_refused_unopened(tmp_path: Path) -> None:
    for name in ("a.HEIC", "d/b.psd", ".c.heic", "e.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).symlink_to(tmp_path / "nowhere")
    found = [item for file in sources.find(str(tmp_path)) for item in sources.expand(file)]
    assert [(item.key, item.code, item.message) for item in found if isinstance(item, Reject)] == [
        ("a.HEIC", UNSUPPORTED, "HEIC is not read: convert it to JPEG or PNG"),
        ("d/b.psd", UNSUPPORTED, "Photoshop is not read: convert it to JPEG or PNG"),
    ]
    assert len(found) == 2
    with pytest.raises(UsageError, match=r"no image in it \(image_format_unsupported: HEIC is not"):
        sources.check(str(tmp_path), "--images")
    # Who names a file, or chooses by a glob, is believed that it is an image.
    assert keys(f"{tmp_path}/*.heic") == [".c.heic", "a.HEIC"]
    (tmp_path / "list.txt").write_text("a.HEIC\n")
    assert len(list(sources.find(str(tmp_path / "list.txt")))) == 1
    assert sources.stem("IMG_1.HEIC") == sources.stem("IMG_1.jpg")


@pytest.fixture
def scanned(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders that were listed, of which those called `f` or hidden refuse to be."""
    found: list[str] = []
    scandir = os.scandir

    def watched(path: str) -> object:
        found.append(os.path.relpath(path, folder))
        if Path(path).name.startswith((".", "f")):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", watched)
    return found


def test_a_folder_that_cannot_be_listed_is_refused_and_the_others_are_not(
    folder: Path, scanned: list[str]
) -> None:
    assert keys(folder) == ["B.JPG", "a.jpg", "d/e.png"]
    assert scanned == [".", "d", "d/f"]
    *_, last = sources.find(str(folder), "photos")
    (reject,) = sources.expand(last)
    message = "Permission denied"
    assert reject == Reject(
        "photos/d/f", f"{folder}/d/f", "list", RejectCode.IMAGE_UNREADABLE, message
    )
    sources.check(str(folder), "--images")
    for path in (folder / "d").glob("*.png"):
        path.unlink()
    with pytest.raises(UsageError, match=r"no image in it \(image_unreadable: Permission denied\)"):
        sources.check(str(folder / "d"), "--images")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.jpg", ["."]),
        ("*/*.png", [".", ".t", "d"]),
        ("d*/f/*", [".", "d", "d/f"]),
        ("[D]/**", [".", "d", "d/f"]),
        ("**.png", [".", ".t", "d", "d/f"]),
    ],
)
def test_a_glob_lists_only_folders_that_may_hold_what_it_chooses(
    folder: Path, scanned: list[str], pattern: str, expected: list[str]
) -> None:
    keys(f"{folder}/{pattern}")
    assert scanned == expected


def test_what_is_missing_or_empty_is_named(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"--images=.*nowhere: there is no folder"):
        sources.check(str(folder / "nowhere"), "--images")
    with pytest.raises(UsageError, match=r"--images=.*gone\.tar: there is no file"):
        sources.check(str(folder / "gone.tar"), "--images")
    (folder / "empty").mkdir()
    with pytest.raises(UsageError, match=r"--images=.*empty: there is no image in it"):
        sources.check(str(folder / "empty"), "--images")
    sources.check(str(folder), "--images")


def test_a_store_that_is_none_is_named_in_one_line() -> None:
    message = r"^--images=foo://x/\*\.jpg: no store's addresses begin with foo://: bring .*$"
    with pytest.raises(UsageError, match=message):
        sources.check("foo://x/*.jpg", "--images")
    for spec in ("http://x.org/a.jpg", "HTTPS://x.org/*.jpg"):
        with pytest.raises(UsageError, match=f"{re.escape(spec)}: web addresses are not fetched"):
            sources.check(spec, "--images")


def test_what_nothing_fetches_is_refused_for_good_in_a_list(tmp_path: Path) -> None:
    web, remedy = "web addresses are not fetched", "bring the image into a folder or a bucket"
    urls = {
        "http://x.org/a.jpg": web,
        "HTTPS://x.org/b.zip": web,
        "ftp://x.org/c.jpg": "no store's addresses begin with ftp://",
    }
    path = tmp_path / "list.txt"
    path.write_text("\n".join(urls))
    refused = [item for file in sources.find(str(path)) for item in sources.expand(file)]
    code = RejectCode.IMAGE_NOT_FETCHED
    assert refused == [
        Reject(url.split("://")[1], url, "list", code, f"{why}: {remedy}")
        for url, why in urls.items()
    ]
    assert not code.retryable
    with pytest.raises(UsageError, match=rf"there is no image in it \({code}: web addresses"):
        sources.check(str(path), "--images")


@given(st.text(st.characters(exclude_characters="/\x00", exclude_categories=["Cs"]), min_size=1))
def test_a_stem_is_a_name_without_an_image_suffix(name: str) -> None:
    if "." not in name:
        assert sources.stem(f"some/where/{name}.JPG") == name
        assert sources.stem(name) == name
        assert sources.stem(f"{name}.v2") == f"{name}.v2"
