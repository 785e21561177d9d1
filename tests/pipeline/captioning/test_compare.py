"""What becomes of images by what the listing and the table say of them, before any is read."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from benchmarks.simulations import settings
from pipeline.captioning import compare
from pipeline.captioning.caption_unit import CaptionUnit
from pipeline.captioning.elements import Content, Entry, Unit
from pipeline.common import units
from pipeline.common.performance import Performance
from pipeline.common.units import UnitReport
from transforms.rejects import Reject, RejectCode
from transforms.sources import ImageRef

REF = ImageRef("a.jpg", "/in/a.jpg", 100, 5.0)
ENTRY = Entry("a.jpg", "/in/a.jpg", 100, 5.0, "0" * 64, "p", "m", "q", None)


@pytest.mark.parametrize(
    "changes",
    [
        {"size": 101},
        {"modified": 6.0},  # Of one size: a picture that was edited in its place.
        {"uri": "/in/b/a.jpg"},
    ],
)
def test_what_the_listing_shows_otherwise_is_read(changes: dict[str, Any]) -> None:
    assert compare.unchanged(REF, ENTRY)
    assert not compare.unchanged(dataclasses.replace(REF, **changes), ENTRY)


def test_a_store_without_times_shows_nothing_unchanged() -> None:
    ref, entry = dataclasses.replace(REF, modified=0), dataclasses.replace(ENTRY, modified=0)
    assert not compare.unchanged(ref, entry)


def test_of_two_images_of_one_key_one_is_captioned_and_one_refused() -> None:
    other = dataclasses.replace(REF, uri="/other/a.jpg")
    found = {"listed": [other, REF], "refused": [], "committed": []}
    refused, unread = compare.Compare(settings("/captions", 10)).process(("a.jpg", found))
    assert (refused.tag, refused.value.code) == (compare.REJECTS, RejectCode.IMAGE_AMBIGUOUS)
    assert refused.value.uri == "/other/a.jpg"
    assert "/in/a.jpg has the same key: write both paths in full" in refused.value.message
    assert (unread.tag, unread.value) == (compare.UNREAD, (REF, ()))


@pytest.mark.parametrize(
    ("codes", "parts"),
    [([], ["p"]), ([RejectCode.IMAGE_MISSING], ["p"]), ([RejectCode.MEMBER_UNSUPPORTED], [])],
)
def test_what_the_listing_refuses_for_good_has_no_row(
    codes: list[RejectCode], parts: list[str]
) -> None:
    """It would be counted as listed, among the rejected, and as not listed, for its row."""
    found = {"listed": [], "refused": codes, "committed": [ENTRY]}
    kept = compare.Compare(settings("/captions", 10)).process(("a.jpg", found))
    assert [each.value.part for each in kept] == parts


@pytest.mark.parametrize("code", [RejectCode.IMAGE_CHANGED, RejectCode.IMAGE_UNREADABLE])
def test_an_image_of_other_bytes_is_read_by_the_next_run_whatever_the_listing_shows(
    code: RejectCode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reject = Reject(REF.key, REF.uri, "read", code, "other bytes, of the same size and time")
    report = UnitReport("captions", "", {}, 0, 0, (reject,), 1)
    monkeypatch.setattr(units, "once", lambda *_: (report, False))
    unit = Unit((Content(ENTRY.sha256, (REF,), (ENTRY,)),))
    captioning = CaptionUnit(settings(str(tmp_path), 10), Performance(1, 60.0))
    _, kept = captioning.process(unit, 1)
    assert (kept.tag, kept.value.part, kept.value.counted) == (compare.KEPT, "p", False)
    carried = dataclasses.replace(ENTRY, size=kept.value.size, modified=kept.value.modified)
    assert compare.unchanged(REF, carried) is (code is not RejectCode.IMAGE_CHANGED)
