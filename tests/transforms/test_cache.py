"""The cache of what is made of captioners."""

from pathlib import Path

import pytest

from transforms import cache


@pytest.mark.parametrize("name", ["a/variables", "graph", cache.CONTENTS])
def test_a_folder_of_the_cache_that_lost_something_is_filled_again(
    tmp_path: Path, name: str
) -> None:
    place = tmp_path / "cache" / "digest"

    def fill() -> None:
        with cache.filling(place) as fresh:
            (fresh / "a").mkdir()
            (fresh / "a" / "variables").write_bytes(b"12")
            (fresh / "graph").write_bytes(b"3")

    assert not cache.filled(place)
    fill()
    assert cache.filled(place)
    for damage in (Path.unlink, lambda path: path.write_bytes(b"")):
        damage(place / name)
        assert not cache.filled(place)
        fill()
        assert cache.filled(place)
    before = place.stat().st_ino
    fill()
    # What is whole stays.
    assert place.stat().st_ino == before
    assert list(place.parent.iterdir()) == [place]


def test_a_cache_that_cannot_be_written_is_named_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "kind" / "digest"
    expected = pytest.raises(OSError, match=r"file/kind: the cache cannot .* set BEAMCAP_CACHE")
    with expected, cache.filling(place):
        pass
