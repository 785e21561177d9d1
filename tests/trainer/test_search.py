import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests.trainer import toy
from trainer.decoders import Step
from trainer.search import beam_search
from transforms.text import END, PAD, START, UNK

WORDS = (4, 5, 6)
SIZE = 7


class Speller:
    """Spells the captions that it was given, as the keras-hub tests do."""

    def __init__(self, captions):
        self.captions = tf.constant(captions)

    def initial_state(self, memory):
        return {"image": memory, "step": tf.zeros_like(memory)}

    def step(self, tokens, state, memory):
        following = tf.gather_nd(self.captions, tf.concat([state["image"], state["step"]], axis=-1))
        logits = 9.0 * tf.one_hot(following, SIZE)
        return Step(logits, {"image": state["image"], "step": state["step"] + 1}, None)


class Table:
    """Gives each next token a logit that depends on the image, the step and the last token."""

    def __init__(self, images, steps, seed=0):
        random = np.random.default_rng(seed)
        self.logits = random.normal(size=(images, steps, SIZE, SIZE)).astype(np.float32) * 2

    def initial_state(self, memory):
        return {"image": memory, "step": tf.zeros_like(memory)}

    def step(self, tokens, state, memory):
        place = tf.concat([state["image"], state["step"], tokens[..., None]], axis=-1)
        logits = tf.gather_nd(self.logits, place)
        return Step(logits, {**state, "step": state["step"] + 1}, None)

    def score(self, image, words, penalty):
        """Return the length-normalised log-probability of a caption, END included."""
        last, total = START, 0.0
        for step, word in enumerate([*words, END]):
            logits = self.logits[image, step, last].astype(np.float64)
            total += logits[word] - np.log(np.exp(logits).sum())
            last = word
        return total / (len(words) + 1) ** penalty


def images(count):
    return tf.range(count)[:, None]


def words_of(row):
    row = list(row)
    return tuple(row[: row.index(END)])


def test_a_known_sentence_is_spelt():
    captions = [[5, 4, 6, END, 0], [6, END, 0, 0, 0]]
    tokens, scores = beam_search(
        Speller(captions), images(2), beam_width=3, length_penalty=1.0, max_length=4
    )
    np.testing.assert_array_equal(tokens[:, 0], captions)
    assert np.all(np.diff(scores) <= 0)


@pytest.mark.parametrize("penalty", [0.0, 0.7, 1.5])
def test_a_wide_beam_finds_what_trying_everything_finds(penalty):
    table, longest = Table(images=3, steps=4), 3
    tokens, scores = beam_search(
        table, images(3), beam_width=150, length_penalty=penalty, max_length=longest
    )
    everything = [c for n in range(1, longest + 1) for c in itertools.product(WORDS, repeat=n)]
    for image in range(3):
        ranked = sorted(everything, key=lambda c: -table.score(image, c, penalty))
        found = [words_of(row) for row in tokens[image].numpy()[: len(everything)]]
        assert found == ranked
        expected = [table.score(image, caption, penalty) for caption in ranked]
        np.testing.assert_allclose(scores[image, : len(everything)], expected, rtol=1e-4)


def test_a_beam_of_one_is_greedy():
    table = Table(images=20, steps=6, seed=1)
    tokens, scores = beam_search(table, images(20), beam_width=1, length_penalty=0.7, max_length=5)
    ended = 0
    for image in range(20):
        last, expected = START, []
        for step in range(6):
            logits = table.logits[image, step, last].copy()
            logits[[PAD, START, UNK] + [END] * (step == 0)] = -np.inf
            last = int(np.argmax(logits))
            expected.append(last)
            if last == END:
                ended += 1
                score = table.score(image, expected[:-1], 0.7)
                assert float(scores[image, 0]) == pytest.approx(score, rel=1e-4)
                break
        assert list(tokens[image, 0].numpy()) == expected + [PAD] * (6 - len(expected))
    assert 0 < ended < 20


@pytest.mark.parametrize("width", [1, 2, 3, 5])
def test_scores_are_those_of_the_captions_and_nothing_reserved_is_written(width):
    table = Table(images=8, steps=6, seed=2)
    tokens, scores = beam_search(
        table, images(8), beam_width=width, length_penalty=0.7, max_length=5
    )
    assert tokens.shape == (8, width, 6)
    for image, beam in np.ndindex(8, width):
        row = list(tokens[image, beam].numpy())
        if END in row:
            words = words_of(row)
            assert set(words) <= set(WORDS)
            assert set(row[len(words) + 1 :]) <= {PAD}
            expected = table.score(image, words, 0.7)
            assert float(scores[image, beam]) == pytest.approx(expected, rel=1e-4)
        assert not {START, UNK} & set(row)


def test_unfinished_captions_follow_the_finished_ones_however_likely():
    table = Table(images=1, steps=3)
    table.logits[:] = 0.0
    table.logits[..., 4] = 5.0
    table.logits[..., END] = 1.0
    tokens, scores = beam_search(table, images(1), beam_width=3, length_penalty=1.0, max_length=1)
    finished = [END in row for row in tokens[0].numpy()]
    assert finished == sorted(finished, reverse=True)
    assert any(finished)
    assert not all(finished)
    assert float(scores[0, 0]) < float(scores[0, finished.index(False)])


@pytest.mark.parametrize("width", [1, 3])
def test_a_decoder_that_wants_to_end_at_once_writes_its_likeliest_word(width):
    table = Table(images=2, steps=4)
    table.logits[:] = 0.0
    table.logits[..., 5] = 4.0
    table.logits[..., END] = 9.0
    tokens, scores = beam_search(
        table, images(2), beam_width=width, length_penalty=0.7, max_length=3
    )
    np.testing.assert_array_equal(tokens[:, 0], [[5, END, PAD, PAD]] * 2)
    # The score is what the decoder thinks of it.
    np.testing.assert_allclose(scores[:, 0], table.score(0, (5,), 0.7), rtol=1e-4)
    assert not (tokens[..., 0] == END).numpy().any()


def test_the_best_unfinished_caption_is_the_last_resort():
    table = Table(images=1, steps=3)
    table.logits[..., END] = -1e9
    table.logits[..., 5] += 20.0
    tokens, _ = beam_search(table, images(1), beam_width=2, length_penalty=1.0, max_length=2)
    np.testing.assert_array_equal(tokens[0, 0], [5, 5, 5])


def test_an_image_does_not_depend_on_its_batch():
    table = Table(images=6, steps=8, seed=3)
    together, _ = beam_search(table, images(6), beam_width=3, length_penalty=0.7, max_length=7)
    for image in range(6):
        alone, _ = beam_search(
            table, images(6)[image : image + 1], beam_width=3, length_penalty=0.7, max_length=7
        )
        np.testing.assert_array_equal(alone[0], together[image])


def test_works_in_a_saved_model_with_the_width_as_an_input(tmp_path):
    model = toy.captioner()

    class Module(tf.Module):
        def __init__(self):
            self.model = model

        @tf.function(
            input_signature=[
                tf.TensorSpec([None, *toy.GRID], tf.float32),
                tf.TensorSpec([], tf.int32),
                tf.TensorSpec([], tf.float32),
            ],
            autograph=False,
        )
        def search(self, features, width, penalty):
            tokens, scores = beam_search(
                self.model,
                self.model.prepare(features),
                beam_width=width,
                length_penalty=penalty,
                max_length=5,
            )
            return {"tokens": tokens, "scores": scores}

    tf.saved_model.save(Module(), str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    features = tf.constant(toy.features(3).astype(np.float32))
    for width in (1, 4):
        found = loaded.search(features, width, 0.7)
        again = loaded.search(features, width, 0.7)
        tokens, scores = beam_search(
            model, model.prepare(features), beam_width=width, length_penalty=0.7, max_length=5
        )
        np.testing.assert_array_equal(found["tokens"], tokens)
        np.testing.assert_array_equal(found["scores"], again["scores"])
        np.testing.assert_allclose(found["scores"], scores, rtol=1e-4)
