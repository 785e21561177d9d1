"""Decoders that learn, and what is left of them in a captioner's folder."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from tests import captioners
from tests.trainer import toy
from trainer import loss
from trainer.model import Captioner
from trainer.noise import Noise
from trainer.search import beam_search
from transforms import engines
from transforms.search import SearchOptions, search
from transforms.text import join

KINDS = [
    {"decoder": "gru", "attention": "soft", "normalization": "batch"},
    {"decoder": "lstm", "attention": "adaptive", "normalization": "layer"},
    {"decoder": "topdown", "attention": "adaptive"},
    {"decoder": "transformer", "heads": 2, "layers": 2},
]
each_kind = pytest.mark.parametrize(
    "changes", KINDS, ids=lambda changes: "-".join(map(str, changes.values()))
)


@each_kind
def test_a_toy_batch_is_memorised(changes):
    still = {"dropout": 0.0, "feature_dropout": 0.0}
    model = toy.captioner(units=32, hidden=32, embedding=16, **still, **changes)
    features, ids = tf.constant(toy.features(4)), tf.constant(toy.token_ids(4, captions=1))
    optimizer = tf.keras.optimizers.Adam(0.01)
    optimizer.build(model.trainable_variables)

    @functools.partial(tf.function, autograph=False)
    def step(seed):
        with tf.GradientTape() as tape:
            # Noise of rate 0: batch normalisation learns its statistics.
            cost = loss.teacher_forced(model, features, ids, noise=Noise(seed)).mean
        gradients = tape.gradient(cost, model.trainable_variables)
        gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
        optimizer.apply(gradients, model.trainable_variables)
        return cost

    for number in range(150):
        cost = step(tf.constant([0, number]))
    assert float(cost) < 0.05
    tokens, _ = beam_search(
        model, model.prepare(features), beam_width=2, length_penalty=0.7, max_length=toy.STEPS - 2
    )
    np.testing.assert_array_equal(tokens[:, 0], ids[:, 0, 1:])


@each_kind
def test_the_exported_captioner_says_what_the_model_says(changes, tmp_path):
    data = captioners.dataset(tmp_path / "data", captioners.encoder_file(tmp_path / "cnn.keras"))
    model = captioners.model(data, captioners.configuration(**changes))
    features = np.random.default_rng(0).normal(size=(3, 4, 4, 6)).astype(np.float16)
    model.prepare(tf.constant(features), Noise(tf.constant([0, 0])))  # Moves batch statistics.
    captioners.write(tmp_path / "captioner", data, model)
    wanted, scores = captioners.spell(model, data, features, 3, 0.7)
    graph = tf.saved_model.load(tmp_path / "captioner" / "saved_model")
    found = graph.signatures["caption_features"](
        features=tf.constant(features.astype(np.float32)),
        beam_width=tf.constant(3),
        length_penalty=tf.constant(0.7),
    )
    assert [[caption.decode() for caption in row] for row in found["captions"].numpy()] == wanted
    np.testing.assert_allclose(found["scores"], scores, rtol=1e-4)
    # Outside TensorFlow not every operation exists.
    engine = engines.load(str(tmp_path / "captioner"), "onnxruntime")
    options = SearchOptions(beam_width=3, length_penalty=0.7)
    searched = search([engine], [features.astype(np.float32)], options, captioners.MAX_LENGTH)
    tokens = [[hypothesis.tokens for hypothesis in row] for row in searched]
    decoded = [[data.vocabulary.decode(each) for each in row] for row in tokens]
    assert [[join(words, data.text["tokenizer"]) for words in row] for row in decoded] == wanted
    again = Captioner(model.configuration, len(data.vocabulary), data.feature_shape)
    again.load_weights(tmp_path / "captioner" / "weights.weights.h5")
    for one, other in zip(again.weights, model.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
