import dataclasses
import itertools

import numpy as np
import pytest

from tests.transforms.search.decoders import (
    SIZE,
    WORDS,
    Speller,
    Table,
    everything_alike,
    log_softmax,
)
from transforms.errors import UsageError
from transforms.search import METHODS, SearchOptions, conflict, search
from transforms.text import END, PAD, START, UNK


def find(decoder, images, options, max_length, **more):
    images = np.arange(images) if isinstance(images, int) else np.array(images)
    more.setdefault("frequencies", everything_alike())
    return search([decoder], [images], options, max_length, **more)


def everything(longest):
    return [c for n in range(1, longest + 1) for c in itertools.product(WORDS, repeat=n)]


def same(one, other):
    assert [[h.tokens for h in found] for found in one] == [
        [h.tokens for h in found] for found in other
    ]
    for found, again in zip(one, other, strict=True):
        np.testing.assert_allclose([h.score for h in found], [h.score for h in again], atol=1e-5)


def test_a_known_sentence_is_spelt():
    speller = Speller([[5, 4, 6, END, 0], [6, END, 0, 0, 0]])
    for method in METHODS:
        options = SearchOptions(method, top_p=0.5)
        found = find(speller, 2, options, 4, seeds=[0, 1])
        assert [hypotheses[0].tokens for hypotheses in found] == [(5, 4, 6), (6,)]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (SearchOptions(), 5),
        (SearchOptions("greedy"), 5),
        (SearchOptions("diverse"), 5),
        (SearchOptions("nucleus", top_p=0.5), 5),
        (SearchOptions("consensus", temperature=0.2), 5),
        (SearchOptions(required=((4,),)), 4),
        (SearchOptions(banned=((5,), (6, 6))), 4),
    ],
)
def test_a_decoder_that_wants_to_end_at_once_writes_its_likeliest_word(options, word):
    table = Table(images=2, steps=4)
    table.logits[:] = 0.0
    table.logits[..., 5] = 4.0
    table.logits[..., 4] = 1.0
    table.logits[..., END] = 9.0
    for found in find(table, 2, options, 3, seeds=[0, 1]):
        assert found[0].tokens == (word,)
        # The score is what the decoder thinks of it.
        assert found[0].score == pytest.approx(table.score(0, (word,), 0.7), rel=1e-4)
        assert all(h.tokens for h in found)


@pytest.mark.parametrize("method", METHODS)
def test_a_caption_is_empty_where_all_words_are_banned(method):
    options = SearchOptions(method, banned=tuple((word,) for word in WORDS))
    for found in find(Table(images=2, steps=4), 2, options, 3, seeds=[0, 1]):
        assert [h.tokens for h in found] == [()]


@pytest.mark.parametrize("penalty", [0.0, 0.7, 1.5])
def test_a_wide_beam_finds_what_trying_everything_finds(penalty):
    table, longest = Table(images=3, steps=4), 3
    options = SearchOptions(beam_width=150, length_penalty=penalty)
    for image, found in enumerate(find(table, 3, options, longest)):
        ranked = sorted(
            ((table.score(image, c, penalty), c) for c in everything(longest)), reverse=True
        )
        count = len(ranked)
        assert [h.tokens for h in found[:count]] == [caption for _, caption in ranked]
        np.testing.assert_allclose([h.score for h in found[:count]], [s for s, _ in ranked], 1e-5)


@pytest.mark.parametrize("size", [SIZE, 300])
@pytest.mark.parametrize("width", [1, 3])
def test_finds_what_the_search_in_the_graph_finds(size, width):
    import tensorflow as tf

    from trainer.search import beam_search

    class Graph:
        def __init__(self, table):
            self.table = table

        def initial_state(self, memory):
            return {"image": memory, "step": tf.zeros_like(memory)}

        def step(self, tokens, state, memory):
            place = tf.concat([state["image"], state["step"], tokens[..., None]], axis=-1)
            logits = tf.gather_nd(self.table.logits, place)
            return logits, {**state, "step": state["step"] + 1}, None

    for seed, penalty in enumerate((0.0, 0.7, 1.5)):
        table = Table(images=16, steps=7, seed=seed, size=size)
        # Captions of very different lengths, some of them endless.
        table.logits[..., END] += np.linspace(-6, 6, 16, dtype=np.float32)[:, None, None]
        options = SearchOptions(beam_width=width, length_penalty=penalty)
        found = find(table, 16, options, 6)
        tokens, scores = beam_search(
            Graph(table),
            tf.range(16)[:, None],
            beam_width=width,
            length_penalty=penalty,
            max_length=6,
        )
        expected = []
        for rows, row_scores in zip(tokens.numpy().tolist(), scores.numpy(), strict=True):
            kept = [row for row, score in zip(rows, row_scores, strict=True) if score > -1e8]
            expected.append([tuple(row[: [*row, END].index(END)]) for row in kept])
        assert [[h.tokens for h in hypotheses] for hypotheses in found] == expected
        for hypotheses, row in zip(found, scores.numpy(), strict=True):
            got = [h.score for h in hypotheses]
            np.testing.assert_allclose(got, row[: len(got)], rtol=1e-5, atol=1e-5)


def test_a_greedy_search_is_a_beam_of_one():
    table = Table(images=20, steps=6, seed=1)
    greedy = find(table, 20, SearchOptions("greedy", beam_width=4), 5)
    same(greedy, find(table, 20, SearchOptions(beam_width=1), 5))
    for image, (only,) in enumerate(greedy):
        last = START
        for step, word in enumerate([*only.tokens, END]):
            logits = table.logits[image, step, last].copy() if step < 6 else np.eye(SIZE)[END]
            logits[[PAD, START, UNK] + [END] * (step == 0)] = -np.inf
            assert word == np.argmax(logits)
            last = word


@pytest.mark.parametrize(
    "options",
    [
        SearchOptions(),
        SearchOptions(beam_width=4, no_repeat_ngram=2),
        SearchOptions("diverse", beam_width=6, groups=3, diversity=1.0),
        SearchOptions("nucleus", samples=4, temperature=1.3),
        SearchOptions("consensus", beam_width=5, samples=9),
        SearchOptions(required=((5,), (4, 6)), banned=((6, 6),)),
    ],
    ids=["beam", "no_repeat", "diverse", "nucleus", "consensus", "required"],
)
def test_an_image_does_not_depend_on_its_batch_and_those_that_are_done_leave_it(
    options, monkeypatch
):
    table = Table(images=12, steps=13, seed=3)
    table.logits[..., END] += np.linspace(-4, 4, 12, dtype=np.float32)[:, None, None]
    seeds = list(range(100, 112))
    together = find(table, 12, options, 12, seeds=seeds, attend=True)
    order = [7, 2, 11, 0]
    some = find(table, order, options, 12, seeds=[seeds[i] for i in order])
    same(some, [together[i] for i in order])
    for image in range(12):
        same(find(table, [image], options, 12, seeds=[seeds[image]]), [together[image]])
    rows = table.rows
    monkeypatch.setattr("transforms.search.beam.LEAVE", 2.0)
    if options.method not in ("nucleus", "consensus"):
        same(find(table, 12, options, 12), together)
        assert table.rows - rows > rows / 4
    # Words, scores and maps belong together.
    for image, hypotheses in enumerate(together):
        assert len({h.tokens for h in hypotheses}) == len(hypotheses) <= options.width
        for h in hypotheses:
            assert set(h.tokens) <= set(WORDS)
            read = [START, *h.tokens][: len(h.tokens)]
            expected = np.stack([np.full(len(read), image), np.arange(len(read)), read], axis=1)
            np.testing.assert_array_equal(h.attention, expected)
            ended = len(h.tokens) <= 12
            score = table.score(image, h.tokens, options.length_penalty, ended)
            assert h.score == pytest.approx(score, rel=1e-4)
            words = table.score(image, h.tokens, 0.0, end=False) if h.tokens else 0
            assert sum(h.word_scores) == pytest.approx(words, rel=1e-4)
            assert len(h.word_scores) == len(h.tokens)


def test_unfinished_captions_follow_the_finished_ones_however_likely():
    table = Table(images=1, steps=2)
    table.logits[:] = 0.0
    table.logits[..., 4] = 5.0
    table.logits[..., END] = 1.0
    (found,) = find(table, 1, SearchOptions(beam_width=3, length_penalty=1.0), 1)
    assert [len(h.tokens) for h in found] == [1, 2, 2]
    assert found[0].score < found[1].score


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("method", ["beam", "diverse", "nucleus", "consensus"])
def test_no_sequence_of_words_is_repeated(size, method):
    table = Table(images=10, steps=11, seed=size)
    table.logits[..., END] -= 2
    options = SearchOptions(method, no_repeat_ngram=size)
    free = find(table, 10, dataclasses.replace(options, no_repeat_ngram=0), 10, seeds=range(10))
    blocked = find(table, 10, options, 10, seeds=range(10))

    def repeats(tokens):
        ngrams = [tokens[i : i + size] for i in range(len(tokens) - size + 1)]
        return len(ngrams) - len(set(ngrams))

    assert sum(repeats(h.tokens) for found in free for h in found)
    assert not sum(repeats(h.tokens) for found in blocked for h in found)


def test_a_wide_beam_finds_the_best_captions_that_keep_to_the_rules():
    table, longest = Table(images=3, steps=5, seed=5), 4
    options = SearchOptions(
        beam_width=150, banned=((4, 4), (6, 5, 4)), required=((5,), (4, 6)), no_repeat_ngram=2
    )

    def keeps(caption):
        text = "".join(map(str, caption))
        pairs = [text[i : i + 2] for i in range(len(text) - 1)]
        return (
            "44" not in text
            and "654" not in text
            and "5" in text
            and "46" in text
            and len(set(pairs)) == len(pairs)
        )

    kept = list(filter(keeps, everything(longest)))
    assert 5 < len(kept) < 50
    for image, found in enumerate(find(table, 3, options, longest)):
        ranked = sorted(kept, key=lambda c: -table.score(image, c, 0.7))
        assert [h.tokens for h in found[: len(kept)]] == ranked
        assert all(h.satisfied for h in found[: len(kept)])


@pytest.mark.parametrize(
    ("required", "size", "wanted"),
    [
        (((4, 5), (4, 6)), 1, ((4, 5), (4, 6))),
        (((4, 5), (4, 6)), 2, ()),
        (((4, 5), (4, 6)), 0, ()),
        (((6,), (5, 4, 5)), 1, ((5, 4, 5),)),
        # They may overlap, or one be in the other.
        (((4, 5), (5, 6)), 1, ()),
        (((4, 5, 6), (5,)), 1, ()),
        (((4, 5), (5, 4)), 1, ((4, 5), (5, 4))),
        (((7, 4, 5), (8, 4, 5)), 2, ((7, 4, 5), (8, 4, 5))),
    ],
)
def test_required_phrases_that_repeat_one_another_are_found(required, size, wanted):
    assert conflict(required, size) == wanted


@pytest.mark.parametrize("size", [1, 2])
def test_no_caption_has_required_phrases_that_are_in_conflict(size):
    def ngrams(caption, length):
        return [caption[i : i + length] for i in range(len(caption) - length + 1)]

    captions = [c for c in everything(6) if len(set(ngrams(c, size))) == len(ngrams(c, size))]
    together = {
        frozenset(pair)
        for caption in captions
        for pair in itertools.combinations(
            {part for length in (1, 2, 3) for part in ngrams(caption, length)}, 2
        )
    }
    pairs = list(itertools.combinations(everything(3), 2))
    clashing = {frozenset(pair) for pair in pairs if conflict(pair, size)}
    assert len(clashing) > 100
    assert not clashing & together


@pytest.mark.parametrize("method", METHODS)
def test_banned_words_and_phrases_never_appear(method):
    table = Table(images=12, steps=9, seed=4)
    options = SearchOptions(method, banned=((5,), (4, 6), (6, 6, 4)))
    said = [
        "".join(map(str, h.tokens)) for f in find(table, 12, options, 8, seeds=range(12)) for h in f
    ]
    assert any("64" in text for text in said)
    assert not any(bad in text for text in said for bad in ("5", "46", "664"))


def test_required_words_appear_even_where_they_are_unlikely():
    table = Table(images=8, steps=9, seed=6, size=40)
    table.logits[..., [9, 21]] -= 8
    options = SearchOptions(required=((9,), (21, 22)), beam_width=2)
    for found in find(table, 8, options, 8):
        assert found
        for hypothesis in found:
            text = " ".join(map(str, hypothesis.tokens)) + " "
            assert "9 " in text
            assert "21 22 " in text
            assert hypothesis.satisfied


def test_what_cannot_have_its_required_words_is_returned_and_says_so():
    table = Table(images=4, steps=3, seed=6)
    options = SearchOptions(required=((4, 5, 6, 5),), beam_width=2)
    for found in find(table, 4, options, 2):
        assert found
        assert not any(hypothesis.satisfied for hypothesis in found)


def test_groups_differ_and_the_first_is_a_beam_of_its_own():
    table = Table(images=10, steps=7, seed=8, size=50)
    plain = find(table, 10, SearchOptions(beam_width=2), 6)
    options = SearchOptions("diverse", beam_width=6, groups=3, diversity=50.0)
    for alone, found in zip(plain, find(table, 10, options, 6), strict=True):
        tokens = [h.tokens for h in found]
        assert {h.tokens for h in alone} <= set(tokens)
        # At so high a price no word is at the same place in captions of two groups.
        first = {caption[:1] for caption in tokens}
        assert len(first) >= 3
    same(
        find(table, 10, dataclasses.replace(options, groups=1), 6),
        find(table, 10, SearchOptions(beam_width=6), 6),
    )


def test_the_nucleus_has_the_likely_words_in_their_proportions():
    table = Table(images=1, steps=2)
    probabilities = np.array([0.0, 0, 0.05, 0, 0.5, 0.3, 0.15]) + 1e-30
    table.logits[:] = np.log(probabilities)
    table.logits[:, 0] = np.log(np.eye(SIZE)[4] + 1e-30)  # The first word cannot be END.

    def shares(**changes):
        options = SearchOptions("nucleus", samples=1, length_penalty=0, **changes)
        drawn = find(table, [0] * 4000, options, 1, seeds=range(4000))
        second = [(*h.tokens, END)[1] for (h,) in drawn]
        return np.bincount(second, minlength=SIZE) / len(second)

    np.testing.assert_allclose(shares(top_p=1.0), probabilities, atol=0.03)
    np.testing.assert_allclose(shares(top_p=0.7)[[4, 5]], [0.625, 0.375], atol=0.03)
    assert shares(top_p=0.5)[4] == 1
    cold = probabilities**2 / (probabilities**2).sum()
    np.testing.assert_allclose(shares(top_p=1.0, temperature=0.5), cold, atol=0.03)


def test_seeds_decide_what_is_drawn():
    table = Table(images=6, steps=9, seed=9)
    options = SearchOptions("nucleus", top_p=1.0)
    first = find(table, 6, options, 8, seeds=[5] * 6)
    same(first, find(table, 6, options, 8, seeds=[5] * 6))
    for other in (
        find(table, 6, options, 8, seeds=[6] * 6),
        find(table, 6, dataclasses.replace(options, seed=1), 8, seeds=[5] * 6),
    ):
        assert [h.tokens for h in other[0]] != [h.tokens for h in first[0]]


def test_an_ensemble_of_one_captioner_twice_is_that_captioner():
    table = Table(images=9, steps=7, seed=10)
    options = SearchOptions()
    images = np.arange(9)
    twice = search([table, table], [images, images], options, 6, attend=True)
    assert twice == find(table, 9, options, 6)


def test_an_ensemble_decides_by_the_mean_of_the_probabilities():
    one, two = Table(images=4, steps=4, seed=11), Table(images=4, steps=4, seed=12)
    mean = Table(images=4, steps=4)
    mean.logits = np.log(
        (np.exp(log_softmax(one.logits)) + np.exp(log_softmax(two.logits[::-1]))) / 2
    )
    # Each sees an image in its own way: here, under another number.
    found = search([one, two], [np.arange(4), np.arange(4)[::-1]], SearchOptions(), 3)
    same(found, find(mean, 4, SearchOptions(), 3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (SearchOptions("best"), "unknown search 'best'"),
        (SearchOptions(beam_width=0), "beam_width is 0"),
        (SearchOptions(length_penalty=float("nan")), "length_penalty is nan"),
        (SearchOptions(no_repeat_ngram=-1), "no_repeat_ngram is -1"),
        (SearchOptions("diverse", beam_width=4), "multiple of 3"),
        (SearchOptions("nucleus", top_p=0.0), "top_p is 0.0"),
        (SearchOptions("nucleus", temperature=0.0), "temperature is 0.0"),
        (SearchOptions("nucleus", samples=0), "samples is 0"),
        (SearchOptions("nucleus", required=((4,),)), "required words need the search beam"),
        (SearchOptions(banned=((),)), "has no words"),
    ],
)
def test_refuses_options_that_cannot_be(options, message):
    with pytest.raises(UsageError, match=message):
        find(Table(images=1, steps=2), 1, options, 1)


def test_no_images_have_no_captions():
    assert find(Table(images=1, steps=2), 0, SearchOptions(), 1) == []
