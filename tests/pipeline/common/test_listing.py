"""The beginning of both jobs: what several sources find."""

from pathlib import Path

from pipeline.common.listing import expand, find
from transforms import sources
from transforms.files import encoded


def test_a_file_that_two_sources_find_is_what_the_kinder_one_says(tmp_path: Path) -> None:
    (tmp_path / "a.heic").write_bytes(b"x")
    specs = [str(tmp_path), f"{tmp_path}/*"]
    files = [file for spec in specs for _, file in find((encoded(spec), b""))]
    for order in (files, files[::-1]):
        (item, count) = expand((b"", order))
        assert isinstance(item, sources.ImageRef) and count.value == 1
