import zipfile
from pathlib import Path

import numpy as np
import pytest

from benchmarks import photos
from transforms import images


def test_pictures_are_the_same_every_time_and_differ_from_each_other(tmp_path: Path) -> None:
    place = photos.folder(str(tmp_path), 3, (320, 240))
    contents = [Path(path).read_bytes() for path in photos.paths(place)]
    assert contents == [photos.draw(number, (320, 240)) for number in range(3)]
    assert len(set(contents)) == 3
    drawn = [Path(path).resolve().stat().st_mtime_ns for path in photos.paths(place)]
    more = photos.paths(photos.folder(str(tmp_path), 5, (320, 240)))
    assert [Path(path).resolve().stat().st_mtime_ns for path in more[:3]] == drawn
    assert len(more) == 5


def test_pictures_are_as_large_and_as_varied_as_photographs() -> None:
    data = photos.draw(1, (640, 480))
    assert 50_000 < len(data) < 200_000
    picture = images.decode(data)
    assert (picture.width, picture.height) == (640, 480)
    grey = picture.pixels.mean(axis=2)
    assert grey.std() > 20
    # Neighbours are alike, as in photographs and not in noise.
    beside = np.corrcoef(grey[:, :-1].ravel(), grey[:, 1:].ravel())[0, 1]
    assert beside == pytest.approx(0.98, abs=0.02)


def test_images_that_a_user_names_are_taken(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(4):
        (tmp_path / "in" / f"{number}.jpg").write_bytes(b"x")
    with zipfile.ZipFile(tmp_path / "in" / "0.zip", "w") as archive:
        # No link leads to a member.
        archive.writestr("member.jpg", b"x")
    place = photos.take(f"{tmp_path}/in", 3, str(tmp_path))
    assert [Path(path).resolve().name for path in photos.paths(place)] == [
        "0.jpg",
        "1.jpg",
        "2.jpg",
    ]
