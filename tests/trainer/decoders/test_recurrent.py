import math

import numpy as np
import pytest
import tensorflow as tf

from tests.trainer import toy
from trainer import loss
from trainer.noise import Noise
from trainer.packing import Packing
from transforms.text import PAD

POOLED = (5,)
KINDS = [
    pytest.param(shape, changes, id="-".join(map(str, [len(shape), *changes.values()])))
    for shape, changes in [
        (toy.GRID, {"decoder": "lstm"}),
        (toy.GRID, {"decoder": "gru", "layers": 2, "inject": "par", "residual": True}),
        (toy.GRID, {"decoder": "lstm", "layers": 2, "hidden": 0}),
        (toy.GRID, {"decoder": "lstm", "hidden": 8, "tie": True}),
        (toy.GRID, {"decoder": "gru", "attention": "none"}),
        (POOLED, {"decoder": "lstm", "attention": "none", "inject": "init"}),
        (POOLED, {"decoder": "gru", "attention": "none", "inject": "par", "layers": 3}),
        (POOLED, {"decoder": "lstm", "attention": "none", "inject": "merge", "hidden": 0}),
    ]
]


@pytest.mark.parametrize(("shape", "changes"), KINDS)
def test_step_by_step_equals_teacher_forcing(shape, changes):
    model = toy.captioner(shape, **changes)
    ids = tf.constant(toy.token_ids(images=4))
    packing = Packing(ids[:, :, 1:] != PAD)
    memory = model.prepare(tf.constant(toy.features(4, shape)))
    whole = model.teacher_forced(memory, ids[:, :, :-1], packing)
    state = tf.nest.map_structure(
        lambda x: tf.repeat(x[:, None], ids.shape[1], axis=1), model.initial_state(memory)
    )
    steps = []
    for step in range(ids.shape[2] - 1):
        logits, state, weights = model.step(ids[:, :, step], state, memory)
        steps.append(logits)
        if model.configuration.attention == "none":
            assert weights is None
        else:
            assert weights.shape == (*ids.shape[:2], math.prod(shape[:-1]))
            np.testing.assert_allclose(tf.reduce_sum(weights, axis=-1), 1, atol=1e-5)
    stacked = np.stack(steps, axis=2)
    single = np.stack([packing.pack(stacked[..., word]) for word in range(toy.VOCABULARY)], axis=1)
    np.testing.assert_allclose(whole, single, atol=1e-5)


@pytest.mark.parametrize(("shape", "changes"), KINDS)
def test_gradients_reach_every_variable_and_the_first_loss_is_that_of_chance(shape, changes):
    model = toy.captioner(shape, **changes)
    with tf.GradientTape() as tape:
        first = loss.teacher_forced(
            model, tf.constant(toy.features(6, shape)), tf.constant(toy.token_ids(6))
        ).mean
    assert float(first) == pytest.approx(math.log(toy.VOCABULARY), rel=0.1)
    variables = model.trainable_variables
    for variable, gradient in zip(variables, tape.gradient(first, variables), strict=True):
        assert gradient is not None, variable.path
        assert np.any(tf.convert_to_tensor(gradient)), variable.path


def test_pixels_train_the_network_in_front():
    model = toy.captioner(None, convolutions=(4, 6), pixels=8, attention="soft")
    pixels = np.random.default_rng(0).integers(0, 256, (3, 20, 24, 3), np.uint8)
    with tf.GradientTape() as tape:
        cost = loss.teacher_forced(
            model,
            tf.constant(pixels),
            tf.constant(toy.token_ids(3)),
            noise=Noise(tf.constant([0, 0])),
        ).mean
    gradients = tape.gradient(cost, model.trainable_variables)
    assert all(np.any(tf.convert_to_tensor(gradient)) for gradient in gradients)


def test_captions_of_an_image_do_not_see_each_other():
    model = toy.captioner()
    features = tf.constant(toy.features(2))
    ids = toy.token_ids(2)
    other = ids.copy()
    other[:, 1:] = toy.token_ids(2, seed=1)[:, 1:]

    def logits(batch):
        packing = Packing(tf.constant(batch[:, :, 1:] != PAD))
        packed = model.teacher_forced(
            model.prepare(features), tf.constant(batch[:, :, :-1]), packing
        )
        first = packing.pack(tf.broadcast_to([[[1], [0], [0]]], batch[:, :, 1:].shape))
        return packed.numpy()[first.numpy() == 1]

    assert sorted(map(tuple, logits(ids).round(4))) == sorted(map(tuple, logits(other).round(4)))
