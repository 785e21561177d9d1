"""Planning a data set: what meets in one group, and what is missed before images are encoded."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.preprocessing.plan import check_splits, stem_key
from transforms.errors import UsageError
from transforms.matching import Matcher
from transforms.sources import ImageRef

PARTS = ["a", "1.jpg", "1.png", "1", "\u00e9.jpg", "e\u0301.jpg", "e\u0301", ".", "\udcff.jpg"]
NAMES = st.lists(st.sampled_from(PARTS), min_size=1, max_size=3).map("/".join)


@settings(deadline=None, max_examples=50)
@given(NAMES, st.sets(NAMES, min_size=1, max_size=5))
def test_a_name_meets_every_image_that_it_may_mean(name: str, keys: set[str]) -> None:
    refs = [ImageRef(key, f"/data/{key}", 1, 0.0) for key in sorted(keys)]
    group = [ref for ref in refs if stem_key(ref.key) == stem_key(name)]
    assert Matcher(group).find(name) == Matcher(refs).find(name)


def test_splits_that_training_needs_are_missed_before_work(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert check_splits([("dev", 1), ("train", 8)], True) == 9
    assert check_splits([("train", 8)], False) == 8
    # Where nothing is left at all, the commit says why.
    assert check_splits([], True) == 0
    assert not caplog.messages
    assert check_splits([("train", 8), ("test", 1)], True) == 9
    assert "no image is in the dev split" in caplog.text
    with pytest.raises(UsageError, match="no image is in the train split"):
        check_splits([("dev", 1)], True)
