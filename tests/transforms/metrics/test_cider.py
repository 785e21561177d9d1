"""CiderD equals pycocoevalcap's Cider."""

import contextlib
import io
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocoevalcap.cider.cider import Cider

from tests import data
from transforms.metrics.cider import CiderD

WORDS = st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f"]), max_size=7)
CORPUS = st.lists(st.tuples(st.lists(WORDS, min_size=1, max_size=4), WORDS), min_size=1, max_size=6)


def official(references, candidates):
    gts = {i: [" ".join(r) for r in refs] for i, refs in enumerate(references)}
    res = {i: [" ".join(c)] for i, c in enumerate(candidates)}
    with contextlib.redirect_stdout(io.StringIO()):
        return Cider().compute_score(gts, res)


def cider_d(references, candidates):
    return CiderD(references).score(candidates)


@given(CORPUS)
@settings(max_examples=150)
def test_equals_pycocoevalcap_on_any_corpus(corpus):
    references, candidates = zip(*corpus, strict=True)
    mean, scores = cider_d(references, candidates)
    if not any(token for refs in references for ref in refs for token in ref):
        # pycocoevalcap's own assertion takes the maximum of an empty table here.
        assert mean == 0 and not scores.any()
        return
    expected_mean, expected = official(references, candidates)
    np.testing.assert_allclose(scores, expected, atol=1e-9)
    assert mean == pytest.approx(expected_mean, abs=1e-9)


@pytest.fixture(scope="module")
def flickr():
    """Return 300 images' references, and for each the caption of another image."""
    lines = (data.shared("flickr8k") / "Flickr8k.token.txt").read_text().splitlines()[:1500]
    captions = [line.split("\t")[1].lower().split() for line in lines]
    references = [captions[i : i + 5] for i in range(0, len(captions), 5)]
    shuffled = random.Random(0).sample(captions, len(references))
    mixed = [
        refs[0][:4] + c[4:] + ["unheard"] for refs, c in zip(references, shuffled, strict=True)
    ]
    return references, mixed


def test_equals_pycocoevalcap_on_real_captions(flickr):
    references, candidates = flickr
    expected_mean, expected = official(references, candidates)
    mean, scores = cider_d(references, candidates)
    np.testing.assert_allclose(scores, expected, atol=1e-6)
    assert mean == pytest.approx(expected_mean, abs=1e-6)


def test_candidates_may_be_any_images_several_times(flickr):
    references, candidates = flickr
    scorer = CiderD(references)
    _, every = scorer.score(candidates)
    images = [7, 7, 2, 299]
    mean, some = scorer.score([candidates[i] for i in images], images)
    np.testing.assert_allclose(some, every[images], atol=1e-12)
    assert mean == pytest.approx(some.mean())


def test_token_ids_serve_as_well_as_words(flickr):
    references, candidates = flickr
    ids = {None: 0}

    def number(caption):
        return np.array([ids.setdefault(word, len(ids)) for word in caption])

    numbered = [[number(ref) for ref in refs] for refs in references]
    ours, expected = [number(c) for c in candidates], cider_d(references, candidates)[1]
    np.testing.assert_allclose(cider_d(numbered, ours)[1], expected)
    padded = np.zeros((len(ours), 60), np.int32)
    for row, caption in zip(padded, ours, strict=True):
        row[: len(caption)] = caption
    scorer = CiderD(numbered)
    np.testing.assert_allclose(scorer.score_ids(padded), expected)
    np.testing.assert_allclose(scorer.score_ids(padded[[5, 5]], [5, 9])[0], expected[5])


def test_the_best_constant_caption_is_the_best_of_all_references(flickr):
    references = [refs[:3] for refs in flickr[0][:40]]
    scorer = CiderD(references)
    image, position, mean = scorer.best_constant(limit=10)
    every = [scorer.score([ref] * 40)[0] for refs in references for ref in refs]
    assert mean == pytest.approx(max(every))
    assert scorer.score([references[image][position]] * 40)[0] == pytest.approx(mean)


def test_wrong_lengths_are_refused():
    with pytest.raises(ValueError, match="image 1 has no references"):
        CiderD([[["a"]], []])
    with pytest.raises(ValueError, match="2 candidates for 1 images"):
        CiderD([[["a"]]]).score([["a"], ["b"]])
    with pytest.raises(ValueError, match="0 candidates"):
        CiderD([]).score([])
