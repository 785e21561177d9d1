"""The beginning of both jobs: what several sources find."""

import io
from pathlib import Path

import pytest

from pipeline.common.listing import expand, find
from transforms import files, sources
from transforms.files import encoded
from transforms.sources import lists


def test_a_file_that_two_sources_find_is_what_the_kinder_one_says(tmp_path: Path) -> None:
    (tmp_path / "a.heic").write_bytes(b"x")
    specs = [str(tmp_path), f"{tmp_path}/*"]
    found = [file for spec in specs for _, file in find((encoded(spec), b""))]
    for order in (found, found[::-1]):
        (item, count) = expand((b"", order))
        assert isinstance(item, sources.ImageRef) and count.value == 1


def test_spellings_of_one_path_in_a_list_are_one_image(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "x").mkdir(parents=True)
    (folder / "a.jpg").write_bytes(b"x")
    names = ["a.jpg", "./a.jpg", ".//a.jpg", "x/../a.jpg", "../in/a.jpg", f"{folder}/a.jpg"]
    (folder / "list.txt").write_text("\n".join([*names, f"file://{folder}/x/../a.jpg"]))
    for spec in (f"{folder}/list.txt", f"{folder}/x/../list.txt"):
        # As the folder is spelled, for the sake of other sources in it.
        uri = f"{spec.removesuffix('list.txt')}a.jpg"
        assert {file.uri for _, file in find((encoded(spec), b""))} == {uri}


@pytest.mark.parametrize(
    ("path", "key", "uri"),
    [
        ("./a.jpg", "a.jpg", "gs://bucket/in/a.jpg"),
        ("x/../a.jpg", "a.jpg", "gs://bucket/in/a.jpg"),
        ("../up/a.jpg", "up/a.jpg", "gs://bucket/up/a.jpg"),
        ("x//a.jpg", "x//a.jpg", "gs://bucket/in/x//a.jpg"),
        ("/in/a.jpg", "in/a.jpg", "/in/a.jpg"),
    ],
)
def test_paths_of_a_list_in_a_bucket_begin_there(
    path: str, key: str, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "open_read", lambda _: io.BytesIO(path.encode()))
    (file,) = lists.expand("gs://bucket/in/list.txt")
    assert (file.key, file.uri) == (key, uri)


def test_another_file_behind_a_link_is_another_image(tmp_path: Path) -> None:
    for folder in ("in", "out/deep"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "in" / "link").symlink_to(tmp_path / "out" / "deep")
    (tmp_path / "in" / "a.jpg").write_bytes(b"in")
    (tmp_path / "out" / "a.jpg").write_bytes(b"out")
    (tmp_path / "in" / "list.txt").write_text("a.jpg\nlink/../a.jpg\n")
    found = [file for _, file in find((encoded(f"{tmp_path}/in/list.txt"), b""))]
    refs = [item for file in found for item in sources.expand(file)]
    assert [sources.read(ref) for ref in refs] == [b"in", b"out"]
    assert len({ref.uri for ref in refs}) == 2
