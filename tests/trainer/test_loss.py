import numpy as np
import pytest
import tensorflow as tf

from tests.trainer import toy
from trainer import loss
from trainer.noise import Noise


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
