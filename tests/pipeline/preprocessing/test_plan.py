"""Planning a data set: what meets in one group, and what is missed before images are encoded."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.preprocessing.plan import check_splits, resolve_copies, stem_key
from transforms import splits
from transforms.errors import UsageError
from transforms.joining import Captioned
from transforms.matching import Matcher
from transforms.sources import ImageRef

PARTS = ["a", "1.jpg", "1.png", "1", "\u00e9.jpg", "e\u0301.jpg", "e\u0301", ".", "\udcff.jpg"]
NAMES = st.lists(st.sampled_from(PARTS), min_size=1, max_size=3).map("/".join)


@settings(max_examples=50)
@given(NAMES, st.sets(NAMES, min_size=1, max_size=5))
def test_a_name_meets_every_image_that_it_may_mean(name: str, keys: set[str]) -> None:
    refs = [ImageRef(key, f"/data/{key}", 1, 0.0) for key in sorted(keys)]
    group = [ref for ref in refs if stem_key(ref.key) == stem_key(name)]
    assert Matcher(group).find(name) == Matcher(refs).find(name)


def test_splits_that_training_needs_are_missed_before_work(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert check_splits([("dev", 1), ("train", 8)], True, {}) == 9
    assert check_splits([("train", 8)], False, {}) == 8
    # Where nothing is left at all, the commit says why.
    assert check_splits([], True, {}) == 0
    assert not caplog.messages
    assert check_splits([("train", 8), ("test", 1)], True, {}) == 9
    assert "no image is in the dev split" in caplog.text
    with pytest.raises(
        UsageError, match=r"no image is in the train split.*\(1 dev, 12 split_missing\)"
    ):
        check_splits([("dev", 1)], True, {"split_missing": 12})


def test_what_nothing_names_is_divided_by_the_shares_and_the_seed() -> None:
    asked: Any = SimpleNamespace(dev_fraction=0.3, test_fraction=0.1, seed=5)
    refs = [ImageRef(f"{number}.jpg", f"/{number}.jpg", 1, 0.0) for number in range(20)]
    by_hash = [splits.by_hash(ref.key, 0.3, 0.1, 5) for ref in refs]
    assert set(by_hash) == {"train", "dev", "test"}
    found = [next(resolve_copies(("0", [Captioned(ref, ("a",), None)]), asked)) for ref in refs]
    assert [image.split for image in found] == by_hash
