"""Views of a picture."""

import numpy as np
import pytest

from transforms import views
from transforms.errors import UsageError

# A ramp across and one down, on which a place shows in the values.
RAMP = np.stack(
    [*np.meshgrid(np.arange(0, 240, 4), np.arange(0, 240, 5)), np.full((48, 60), 9)], axis=-1
).astype(np.uint8)


def test_a_flip_is_the_mirror_image() -> None:
    flipped = views.apply(RAMP, "flip", "00")
    np.testing.assert_array_equal(flipped, RAMP[:, ::-1])
    np.testing.assert_array_equal(views.apply(flipped, "flip", "00"), RAMP)
    np.testing.assert_array_equal(views.apply(RAMP, "", "00"), RAMP)


def test_crops_are_parts_decided_by_the_content_and_their_number() -> None:
    seen = set()
    for sha256 in ("00", "01"):
        for view in ("crop", "crop2"):
            crop = views.apply(RAMP, view, sha256)
            assert crop.shape == RAMP.shape and crop.dtype == np.uint8
            np.testing.assert_array_equal(crop, views.apply(RAMP.copy(), view, sha256))
            for ramp, whole in ((crop[20, :, 0], 236), (crop[:, 20, 1], 235)):
                extent = int(ramp[-1]) - int(ramp[0])
                assert (np.diff(ramp.astype(int)) >= 0).all()
                assert views.LEAST * whole - 8 <= extent <= whole
            seen.add(crop.tobytes())
    assert len(seen) == 4


@pytest.mark.parametrize("names", [("rotate",), ("crop1",), ("crop100",), ("flip", "flip")])
def test_what_is_no_view_is_refused(names: tuple[str, ...]) -> None:
    views.check(("flip", "crop", "crop2", "crop99"))
    with pytest.raises(UsageError, match=names[0]):
        views.check(names)
