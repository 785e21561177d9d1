"""Consensus search: what agrees most with what is drawn goes first."""

import math
from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.search.decoders import Table, everything_alike
from transforms import ngrams
from transforms.metrics import CiderD
from transforms.search import SearchOptions, search
from transforms.search.agreement import agreement
from transforms.text import END

CAPTIONS = st.lists(st.lists(st.integers(4, 8), max_size=6).map(tuple), max_size=6)


@given(st.lists(st.tuples(CAPTIONS, CAPTIONS.filter(bool)), min_size=1, max_size=5))
@settings(max_examples=50)
def test_agreement_is_the_mean_cider_d_of_one_against_all_that_were_drawn(images):
    candidates, drawn = zip(*images, strict=True)
    frequencies = ngrams.count(drawn, least=1)
    found = agreement(candidates, [Counter(each) for each in drawn], frequencies)
    metric = CiderD(drawn)
    for image, (some, scores) in enumerate(zip(candidates, found, strict=True)):
        expected = [metric.score([each], [image])[0] for each in some]
        np.testing.assert_allclose(scores, expected, atol=1e-9)
        # By itself it is the same to the last bit.
        alone = agreement([some], [Counter(drawn[image])], frequencies)[0]
        np.testing.assert_array_equal(scores, alone)


def test_the_likeliest_caption_is_not_the_one_that_most_agree_with():
    # (4) has the probability 0.4, (5, 6) and (5, 6, 4) have 0.3.
    table = Table(images=1, steps=5)
    table.logits[:] = -30
    for step, last, following in [
        (0, 1, {4: 0.4, 5: 0.6}),
        (1, 4, {END: 1.0}),
        (1, 5, {6: 1.0}),
        (2, 6, {END: 0.5, 4: 0.5}),
        (3, 4, {END: 1.0}),
    ]:
        for word, probability in following.items():
            table.logits[0, step, last, word] = math.log(probability)
    images, options = [np.zeros(1, np.int64)], {"length_penalty": 0.0, "beam_width": 3}
    beam = search([table], images, SearchOptions(**options), 4)[0]
    assert beam[0].tokens == (4,)
    consensus = SearchOptions("consensus", **options, samples=4000)
    found = search([table], images, consensus, 4, seeds=[3], frequencies=everything_alike())[0]
    assert [h.tokens for h in found] == [(5, 6, 4), (5, 6), (4,)]
    # What they are worth is by the mean over the probabilities, worked out by hand.
    other = (2 / math.sqrt(6) + 1 / math.sqrt(2)) * math.exp(-1 / 72) / 4
    short = 1 / math.sqrt(3) * math.exp(-4 / 72) / 4
    drawn = {(4,): 4, (5, 6): 3, (5, 6, 4): 3}
    (scores,) = agreement([[h.tokens for h in found]], [drawn], everything_alike())
    expected = [
        0.3 * 0.75 + 0.3 * other + 0.4 * short,
        0.3 * 0.5 + 0.3 * other,
        0.4 * 0.25 + 0.3 * short,
    ]
    np.testing.assert_allclose(scores, [10 * each for each in expected])
    # They are the beam's own captions with their own scores.
    assert {h.tokens: h.score for h in found} == {h.tokens: h.score for h in beam}


def test_captions_that_did_not_end_stay_behind():
    table = Table(images=1, steps=2)
    table.logits[:] = 0.0
    table.logits[..., 4] = 5.0
    table.logits[..., END] = 1.0
    options = SearchOptions("consensus", beam_width=3, samples=40)
    more = {"seeds": [0], "frequencies": everything_alike()}
    (found,) = search([table], [np.zeros(1, np.int64)], options, 1, **more)
    # Nearly all that is drawn is (4, 4), cut off.
    assert found[0].tokens == (4,)
    assert found[1].tokens == (4, 4)


def test_the_beams_order_holds_where_nothing_tells_captions_apart():
    table = Table(images=8, steps=7, seed=2)
    images = [np.arange(8)]
    nothing = ngrams.count([])
    options = {"beam_width": 5}
    more = {"seeds": range(8), "frequencies": nothing}
    found = search([table], images, SearchOptions("consensus", **options), 6, **more)
    assert found == search([table], images, SearchOptions(**options), 6)


def test_what_is_drawn_decides_and_the_seed_decides_what_is_drawn(monkeypatch):
    table = Table(images=30, steps=9, seed=9, size=40)
    images = [np.arange(30)]

    def find(**changes):
        options = SearchOptions(**{"method": "consensus", "beam_width": 6, "samples": 7, **changes})
        more = {"seeds": range(30), "frequencies": everything_alike()}
        return [[h.tokens for h in each] for each in search([table], images, options, 8, **more)]

    first = find()
    assert find() == first
    beam = find(method="beam")
    assert [sorted(each) for each in first] == [sorted(each) for each in beam]
    assert first != beam
    assert find(seed=1) != first
    assert find(temperature=0.3) != first
    assert find(samples=8) != first
    monkeypatch.setattr("transforms.search.DRAWN", 30)
    assert find() == first
