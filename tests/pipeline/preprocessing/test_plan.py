"""Planning a data set: what belongs together meets in one group."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.preprocessing.plan import stem_key
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
