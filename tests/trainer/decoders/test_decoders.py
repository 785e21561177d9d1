"""What holds for every decoder."""

import contextlib
import dataclasses
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.trainer import toy
from trainer import loss
from trainer.configuration import Configuration
from trainer.noise import Noise
from trainer.packing import Packing, lay_out
from trainer.phases import count_tokens
from trainer.search import beam_search
from transforms.errors import UsageError
from transforms.text import PAD, START

POOLED = (5,)
KINDS = [
    pytest.param(shape, changes, id="-".join(map(str, [len(shape), *changes.values()])))
    for shape, changes in [
        (toy.GRID, {"decoder": "lstm"}),
        (toy.GRID, {"decoder": "gru", "layers": 2, "inject": "par", "residual": True}),
        (toy.GRID, {"decoder": "lstm", "layers": 2, "hidden": 0, "normalization": "layer"}),
        (toy.GRID, {"decoder": "lstm", "hidden": 8, "tie": True, "normalization": "batch"}),
        (toy.GRID, {"decoder": "gru", "attention": "none"}),
        (POOLED, {"decoder": "lstm", "attention": "none", "inject": "init"}),
        (POOLED, {"decoder": "gru", "attention": "none", "inject": "par", "layers": 3}),
        (POOLED, {"decoder": "lstm", "attention": "none", "inject": "merge", "hidden": 0}),
        (toy.GRID, {"decoder": "lstm", "attention": "adaptive", "layers": 2}),
        (toy.GRID, {"decoder": "gru", "attention": "adaptive", "inject": "par"}),
        (toy.GRID, {"decoder": "topdown"}),
        (toy.GRID, {"decoder": "topdown", "attention": "adaptive", "normalization": "layer"}),
        (toy.GRID, {"decoder": "topdown", "inject": "par", "normalization": "batch"}),
        (toy.GRID, {"decoder": "transformer", "layers": 2}),
        (
            toy.GRID,
            {"decoder": "transformer", "units": 9, "embedding": 9, "hidden": 0, "tie": True},
        ),
        (POOLED, {"decoder": "transformer", "attention": "none", "normalization": "batch"}),
    ]
]
each_kind = pytest.mark.parametrize(("shape", "changes"), KINDS)


def test_every_decoder_and_attention_that_flags_allow_is_tried_and_documented():
    choices = {
        field.name: field.metadata["choices"]
        for field in dataclasses.fields(Configuration)
        if field.name in ("decoder", "attention")
    }
    allowed = set()
    for decoder, attention in itertools.product(choices["decoder"], choices["attention"]):
        with contextlib.suppress(UsageError):
            Configuration(decoder=decoder, attention=attention).check(toy.GRID)
            allowed.add((decoder, attention))
    tried = [Configuration(**kind.values[1]) for kind in KINDS]
    assert allowed <= {(each.decoder, each.attention) for each in tried}
    text = (Path(__file__).parents[3] / "docs" / "decoders.md").read_text()
    named = [f"--{flag}={choice}`" for flag, each in choices.items() for choice in each]
    assert not [flag for flag in named if flag not in text]


def read(model, features, ids):
    """Return the logits of whole captions, by image, caption and step; NaN at padding."""
    packing = Packing(tf.constant(ids[:, :, 1:] != PAD))
    memory = model.prepare(tf.constant(features))
    logits = model.teacher_forced(memory, tf.constant(ids[:, :, :-1]), packing).numpy()
    place = packing.pack(tf.reshape(tf.range(ids[:, :, 1:].size), ids[:, :, 1:].shape)).numpy()
    result = np.full((ids[:, :, 1:].size, toy.VOCABULARY), np.nan, np.float32)
    result[place] = logits
    return result.reshape(*ids[:, :, 1:].shape, toy.VOCABULARY)


@each_kind
def test_step_by_step_equals_teacher_forcing_and_attention_is_a_distribution(shape, changes):
    model = toy.captioner(shape, **changes)
    features, ids = toy.features(4, shape), toy.token_ids(4)
    whole = read(model, features, ids)
    memory = model.prepare(tf.constant(features))
    state = tf.nest.map_structure(
        lambda x: tf.repeat(x[:, None], ids.shape[1], axis=1), model.initial_state(memory)
    )
    for step in range(ids.shape[2] - 1):
        logits, state, weights = model.step(tf.constant(ids[:, :, step]), state, memory)
        counts = ids[:, :, step + 1] != PAD
        np.testing.assert_allclose(logits.numpy()[counts], whole[:, :, step][counts], atol=1e-5)
        if model.configuration.attention == "none":
            assert weights is None
            continue
        assert weights.shape == (*ids.shape[:2], math.prod(shape[:-1]))
        total = tf.reduce_sum(weights, axis=-1).numpy()
        if model.configuration.attention == "adaptive":
            assert np.all((total > 0) & (total < 1))
        else:
            np.testing.assert_allclose(total, 1, atol=1e-5)


@each_kind
def test_gradients_reach_every_weight_and_are_those_of_finite_differences(shape, changes):
    model = toy.captioner(shape, **changes)
    features, ids = tf.constant(toy.features(6, shape)), tf.constant(toy.token_ids(6))
    with tf.GradientTape() as tape:
        first = loss.teacher_forced(model, features, ids).mean
    # Normalised outputs make the logits of so few words vary.
    assert float(first) == pytest.approx(math.log(toy.VOCABULARY), rel=0.2)
    variables = model.trainable_variables
    gradients = []
    for variable, gradient in zip(variables, tape.gradient(first, variables), strict=True):
        assert gradient is not None, variable.path
        gradients.append(tf.convert_to_tensor(gradient).numpy())
        assert np.any(gradients[-1]), variable.path
    random = np.random.default_rng(0)
    way = [gradient + random.normal(0, gradient.std(), gradient.shape) for gradient in gradients]
    length = 2e-3 / math.sqrt(sum(np.sum(part**2) for part in way))
    losses = []
    for sign in (1, -2):
        for variable, part in zip(variables, way, strict=True):
            variable.assign_add(sign * length * part)
        losses.append(float(loss.teacher_forced(model, features, ids).mean))
    expected = sum(np.sum(g * part) for g, part in zip(gradients, way, strict=True))
    assert (losses[0] - losses[1]) / (2 * length) == pytest.approx(expected, rel=0.02)


@each_kind
def test_a_caption_depends_on_itself_and_its_image_alone(shape, changes):
    model = toy.captioner(shape, **changes)
    features, ids = toy.features(3, shape), toy.token_ids(3)
    kept = read(model, features, ids)[1, 0]
    alone = read(model, features[1:2], np.pad(ids[1:2, :1], [(0, 0), (0, 0), (0, 3)]))[0, 0]
    np.testing.assert_allclose(alone[: len(kept)], kept, atol=1e-5)
    other = toy.token_ids(3, seed=1)
    other[1, 0] = ids[1, 0]
    others = toy.features(3, shape, seed=1)
    others[1] = features[1]
    np.testing.assert_allclose(read(model, others, other)[1, 0], kept, atol=1e-5)


@each_kind
def test_beams_have_the_scores_of_their_words(shape, changes):
    model = toy.captioner(shape, **changes)
    for variable in model.trainable_variables:
        variable.assign(variable * 2)  # So that beams differ, and change places.
    features = toy.features(5, shape)

    @tf.function(input_signature=[tf.TensorSpec([None, *shape], tf.float16)], autograph=False)
    def search(inputs):
        return beam_search(
            model, model.prepare(inputs), beam_width=4, length_penalty=0.0, max_length=5
        )

    tokens, scores = (each.numpy() for each in search(features))
    ids = np.pad(tokens, [(0, 0), (0, 0), (1, 0)], constant_values=START)
    words = tf.nn.log_softmax(read(model, features, ids)).numpy()
    chosen = np.take_along_axis(words, tokens[..., None], axis=-1)[..., 0]
    np.testing.assert_allclose(scores, np.where(tokens == PAD, 0, chosen).sum(-1), atol=1e-4)


# That of the recurrences without any other.
RECURRENT = {"recurrent_dropout": 0.3, "dropout": 0.0, "feature_dropout": 0.0}
NOISY = [
    {"decoder": "lstm", "layers": 2},
    {"decoder": "gru", **RECURRENT},
    {"decoder": "lstm", "attention": "adaptive", **RECURRENT},
    {"decoder": "topdown", **RECURRENT},
    {"decoder": "transformer"},
]


def test_residual_layers_hand_on_what_is_below_them():
    features, ids = toy.features(3), toy.token_ids(3)
    apart = []
    for residual in (False, True):
        model = toy.captioner(layers=2, residual=residual, attention="none")
        for variable in model.decoder.recurrences[1].trainable_variables:
            variable.assign(tf.zeros_like(variable))  # Its output is 0.
        apart.append(np.nanstd(read(model, features, ids), axis=(0, 1, 2)).max())
    assert apart[0] == 0 < apart[1]


@pytest.mark.parametrize("variational", [False, True])
@pytest.mark.parametrize("changes", NOISY, ids=lambda changes: "-".join(map(str, changes.values())))
def test_the_seed_decides_the_dropout(changes, variational):
    model = toy.captioner(variational_dropout=variational, **changes)
    batch = tf.constant(toy.features(3)), tf.constant(toy.token_ids(3))

    def cost(seed):
        return float(loss.teacher_forced(model, *batch, noise=Noise(tf.constant([0, seed]))).mean)

    assert cost(1) == cost(1)
    assert cost(1) != cost(2)


@pytest.mark.parametrize("padded", [False, True])
def test_variational_dropout_keeps_one_mask_for_a_caption(padded):
    from trainer.decoders.layout import Packed

    packing = lay_out(tf.constant(toy.token_ids(4)[:, :, 1:] != PAD), padded=padded)
    count = int(tf.reduce_sum(packing.active))
    for variational in (True, False):
        layout = Packed(packing, Noise(tf.constant([1, 2])), variational)
        for rows in (layout.drop(tf.ones([count, 32]), 0.5), layout.mask(32, 0.5)):
            masks = [
                {tuple(row) for row in rows.numpy()[packing.caption == caption]}
                for caption in np.unique(packing.caption)
            ]
            assert all(len(mask) == 1 for mask in masks) == variational
            assert len(set(itertools.chain(*masks))) > 5
            assert float(tf.reduce_mean(rows)) == pytest.approx(1, abs=0.2)


@each_kind
def test_padded_batches_have_the_same_loss_and_gradients(shape, changes):
    model = toy.captioner(shape, **changes)
    features, ids = tf.constant(toy.features(4, shape)), tf.constant(toy.token_ids(4))

    def learned(xla):
        model.decoder.configuration = dataclasses.replace(model.configuration, xla=xla)
        with tf.GradientTape() as tape:
            found = loss.teacher_forced(model.decoder, features, ids)
        gradients = tape.gradient(found.total, model.trainable_variables)
        return found, [tf.convert_to_tensor(gradient) for gradient in gradients]

    (wanted, exact), (found, gradients) = learned(False), learned(True)
    # What the divisor of the gradients is.
    assert int(count_tokens(ids)) == int(found.tokens) == int(wanted.tokens)
    np.testing.assert_allclose(found.total, wanted.total, rtol=1e-5)
    for pair in zip(gradients, exact, strict=True):
        np.testing.assert_allclose(*pair, atol=1e-4)


def test_batch_normalisation_trains_by_the_batch_and_captions_by_what_it_remembers():
    model = toy.captioner(normalization="batch")
    features = tf.constant(50 + 9 * toy.features(8))
    before = [variable.numpy() for variable in model.non_trainable_weights]
    assert len(before) == 4
    for step in range(3):
        trained = model.prepare(features, Noise(tf.constant([0, step])))
    after = [variable.numpy() for variable in model.non_trainable_weights]
    assert not any(np.array_equal(*pair) for pair in zip(before, after, strict=True))
    assert trained["image"].shape == model.prepare(features)["image"].shape
    single = np.concatenate([model.prepare(features[n : n + 1])["image"] for n in range(8)])
    np.testing.assert_allclose(model.prepare(features)["image"], single, atol=1e-5)


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


def test_a_graph_for_batches_of_any_size_is_traced():
    model = toy.captioner(decoder="topdown")
    features, ids = toy.features(4), toy.token_ids(4)

    def mean(inputs, tokens):
        return loss.teacher_forced(model, inputs, tokens).mean

    traced = tf.function(
        mean,
        input_signature=[
            tf.TensorSpec([None, *features.shape[1:]]),
            tf.TensorSpec([None, None, ids.shape[2]], tf.int32),
        ],
        autograph=False,
    )
    eager = mean(tf.constant(features), tf.constant(ids))
    np.testing.assert_allclose(traced(features, ids), eager, rtol=1e-5)
