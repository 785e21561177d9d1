"""What crosses shuffles arrives as it was."""

import pickle

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.captioning.elements import Content, Entry, Kept
from transforms.sources import File, ImageRef

TRAVELLERS = (Content, Entry, File, ImageRef, Kept)


@settings(max_examples=50)
@given(element=st.one_of(st.builds(kind) for kind in TRAVELLERS))
def test_nothing_changes(element: object) -> None:
    again = pickle.loads(pickle.dumps(element))
    assert type(again) is type(element)
    # Not by ==, which for a reference is a matter of its URI.
    assert repr(again) == repr(element)


def test_a_reference_takes_little_more_than_its_text() -> None:
    content = Content("0" * 64, (ImageRef("a.jpg", "/photos/a.jpg", 100_000, 1.7e9),))
    text = len("0" * 64 + "a.jpg" + "/photos/a.jpg")
    assert len(pickle.dumps(content)) < text + 140
