import numpy as np
import pytest
import tensorflow as tf

from tests.trainer import toy
from trainer import loss, precision
from trainer.noise import Noise
from transforms.text import END, UNK


def test_padding_changes_nothing():
    model = toy.captioner()
    features, ids = tf.constant(toy.features(4)), toy.token_ids(4)
    plain = loss.teacher_forced(model, features, tf.constant(ids))
    wider = np.pad(ids, ((0, 0), (0, 2), (0, 3)))
    padded = loss.teacher_forced(model, features, tf.constant(wider))
    assert int(padded.tokens) == int(plain.tokens) == int((ids[:, :, 1:] != 0).sum())
    assert float(padded.mean) == pytest.approx(float(plain.mean), abs=1e-6)


def test_smoothing_is_a_mix_with_the_even_distribution():
    model = toy.captioner()
    batch = tf.constant(toy.features(4)), tf.constant(toy.token_ids(4))
    sharp = float(loss.teacher_forced(model, *batch).mean)
    even = float(loss.teacher_forced(model, *batch, label_smoothing=1.0).mean)
    mixed = float(loss.teacher_forced(model, *batch, label_smoothing=0.1).mean)
    assert mixed == pytest.approx(0.9 * sharp + 0.1 * even, abs=1e-5)


def test_dropout_depends_on_the_seed_alone():
    model = toy.captioner(dropout=0.5)
    batch = tf.constant(toy.features(4)), tf.constant(toy.token_ids(4))

    def cost(*seed):
        return float(loss.teacher_forced(model, *batch, noise=Noise(tf.constant(seed))).mean)

    assert cost(1, 2) == cost(1, 2)
    assert cost(1, 2) != cost(1, 3)


def own(model, share, **changes):
    """Return the loss where a share of the words read is the captioner's own."""
    batch = tf.constant(toy.features(4)), tf.constant(toy.token_ids(4))
    noise = Noise(tf.constant([1, 2]))
    return float(
        loss.teacher_forced(
            model, *batch, own_words=tf.constant(share), noise=noise, **changes
        ).mean
    )


def test_a_captioner_that_is_sure_reads_its_own_words_in_scheduled_sampling():
    model = toy.captioner(dropout=0.0, feature_dropout=0.0)
    box = toy.WORDS.index("box")
    model.decoder.words.bias.assign(1e4 * np.eye(toy.VOCABULARY)[box])
    reads = []
    original = model.teacher_forced

    def spy(memory, tokens, packing, noise=None):
        reads.append(tokens.numpy())
        return original(memory, tokens, packing, noise)

    model.teacher_forced = spy
    for share in (0.0, 1.0):
        own(model, share)
    ids = toy.token_ids(4)[:, :, :-1]
    np.testing.assert_array_equal(reads[1], ids)
    # START stays, padding stays, and END, which is read by none, does not matter.
    inside = (ids != 0) & (ids != END) & (np.arange(ids.shape[2]) > 0)
    assert (reads[3][inside] == box).all()
    np.testing.assert_array_equal(reads[3][:, :, 0], ids[:, :, 0])


def test_word_dropout_makes_words_unknown():
    model = toy.captioner(dropout=0.0, feature_dropout=0.0)
    ids = toy.token_ids(4)
    unknown = np.where(ids > UNK, UNK, ids)
    packed = loss.teacher_forced
    batch = tf.constant(toy.features(4)), tf.constant(ids)
    forgotten = packed(model, *batch, word_dropout=1.0, noise=Noise(tf.constant([1, 2])))
    read, original = [], model.teacher_forced
    model.teacher_forced = lambda m, tokens, *more: original(
        m, read.append(tokens) or tokens, *more
    )
    again = packed(model, *batch, word_dropout=1.0, noise=Noise(tf.constant([1, 2])))
    np.testing.assert_array_equal(read[0], unknown[:, :, :-1])
    assert float(again.mean) == float(forgotten.mean) != float(packed(model, *batch).mean)


@pytest.mark.parametrize(
    ("half", "changes"),
    [
        ("mixed_float16", {"layers": 2}),
        ("mixed_bfloat16", {"decoder": "gru", "normalization": "layer", "recurrent_dropout": 0.1}),
        ("mixed_bfloat16", {"decoder": "topdown", "attention": "adaptive"}),
        ("mixed_bfloat16", {"decoder": "transformer", "variational_dropout": True}),
    ],
)
def test_half_precision_computes_the_same_and_leaves_the_model_as_it_was(half, changes):
    model = toy.captioner(**changes)
    batch = tf.constant(toy.features(4)), tf.constant(toy.token_ids(4))
    kinds = []
    original = model.teacher_forced

    def spy(*arguments):
        logits = original(*arguments)
        kinds.append(logits.dtype)
        return logits

    model.teacher_forced = spy
    exact = loss.teacher_forced(model, *batch).mean
    with precision.computing(model, half):
        assert loss.teacher_forced(model, *batch, noise=Noise(tf.constant([1, 2]))).mean > 0
    with precision.computing(model, half):
        rough = loss.teacher_forced(model, *batch).mean
    assert rough.dtype == tf.float32
    assert float(rough) == pytest.approx(float(exact), rel=0.02)
    assert float(rough) != float(exact)
    assert float(loss.teacher_forced(model, *batch).mean) == float(exact)
    sixteen = tf.as_dtype(half.removeprefix("mixed_"))
    assert kinds == [tf.float32, sixteen, sixteen, tf.float32]
    assert {weight.dtype for weight in model.weights} == {"float32"}


def test_the_scale_of_the_loss_halves_where_gradients_overflow_and_grows_again():
    scale = precision.LossScale("mixed_float16")
    assert float(scale.up(tf.constant(2.0))) == 2.0**16
    gradients, usable = scale.down([tf.constant([1.0]), tf.constant([np.inf])])
    assert float(usable) == 0 and not any(gradient.numpy().any() for gradient in gradients)
    assert float(scale.up(tf.constant(1.0))) == 2.0**14
    for _ in range(precision.LossScale.STEADY):
        (gradient,), usable = scale.down([tf.constant([2.0**14])])
    assert (float(usable), float(gradient[0])) == (1, 1)
    assert float(scale.up(tf.constant(1.0))) == 2.0**15
    assert precision.LossScale("float32").variables == []
