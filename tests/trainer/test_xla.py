"""Steps that XLA compiles: the same training, on batches of few shapes."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tests.captioners import pictures
from tests.trainer import toy
from trainer import packing, self_critical
from trainer.loop import Trainer
from trainer.packing import bucket_length
from transforms.text import END, PAD

PIXELS = {"convolutions": (4,), "pixels": 8}
NO_CHANCE = {"dropout": 0.0, "feature_dropout": 0.0}


def drawn(captioner, memory, *, samples, max_length, **_):
    """Draw the same for every image: a last digit of the logits would draw another word."""
    ids = np.random.default_rng(0).integers(END + 2, toy.VOCABULARY, (samples, max_length + 1))
    for number, row in enumerate(ids):
        row[3 + 2 * number] = END
        row[4 + 2 * number :] = PAD
    images = tf.shape(tf.nest.flatten(memory)[0])[0]
    return tf.tile(tf.constant(ids, tf.int32)[None], [images, 1, 1])


def history(folder, monkeypatch, **changes):
    """Train; return the losses of the epochs, the captions' steps, and how often XLA compiles."""
    # Captions of up to 7 ids in a data set whose longest could have 30.
    ids = np.pad(toy.token_ids(8), ((0, 0), (0, 0), (0, 23)))
    steps, compiled = set(), 0
    function, lay_out = tf.function, packing.Padded.__init__

    def counted(*arguments, **options):
        nonlocal compiled
        # Keras's convolutions have a decorator, which names no function, at hand.
        compiled += bool(arguments and options.get("jit_compile"))
        return function(*arguments, **options)

    def noted(self, mask):
        steps.add(mask.shape[2])
        lay_out(self, mask)

    with monkeypatch.context() as patch:
        patch.setattr(tf, "function", counted)
        patch.setattr(packing.Padded, "__init__", noted)
        patch.setattr(self_critical, "sample", drawn)
        inputs, shape = toy.features(8), toy.GRID
        if "convolutions" in changes:
            inputs, shape = pictures(8, (8, 8)), None
        examples = toy.ArrayExamples(inputs, ids)
        trainer = Trainer(toy.captioner(shape, **changes), examples, lambda: 1.0, str(folder))
        losses = [row["loss"] for row in trainer.run().history]
    return losses, steps, compiled


@pytest.mark.parametrize(
    "changes",
    [
        {"attention": "adaptive", "batch_images": 5},
        {
            **{"decoder": "transformer", "normalization": "batch", **PIXELS},
            **{"scst_epochs": 1, "scst_learning_rate": 0.02},
        },
    ],
    ids=lambda changes: "-".join(map(str, changes.values())),
)
def test_a_compiled_training_learns_the_same(tmp_path, monkeypatch, changes):
    changes = NO_CHANCE | changes
    plain, *none = history(tmp_path / "plain", monkeypatch, **changes)
    compiled, steps, functions = history(tmp_path / "xla", monkeypatch, xla=True, **changes)
    assert none == [set(), 0]
    # The longest of what is drawn has 11 words and an END.
    assert steps == ({8, 16} if "scst_epochs" in changes else {8})
    # One for cross-entropy, and one for what is drawn.
    assert functions == 1 + changes.get("scst_epochs", 0)
    # A loss shows the gradients of the steps before it.
    assert len(plain) == 2 + changes.get("scst_epochs", 0)
    np.testing.assert_allclose(compiled, plain, rtol=1e-3)


@pytest.mark.parametrize(
    "changes",
    [
        {"decoder": "topdown", "variational_dropout": True, "recurrent_dropout": 0.2},
        {
            **{"decoder": "transformer", "scheduled_sampling": 0.5, "precision": "mixed_float16"},
            **PIXELS,
        },
    ],
    ids=lambda changes: "-".join(map(str, changes.values())),
)
def test_what_is_drawn_at_random_compiles(tmp_path, monkeypatch, changes):
    losses, steps, _ = history(tmp_path, monkeypatch, xla=True, epochs=1, **changes)
    assert steps == {8}
    # That of an even choice among the words, or a little better.
    assert 1 < losses[0] < 1.2 * math.log(toy.VOCABULARY)


def test_buckets_are_few_and_long_enough():
    ids = np.zeros((2, 2, 30), np.int32)
    assert bucket_length(ids) == 8
    ids[1, 0, :8] = 4
    assert bucket_length(ids) == 8
    ids[1, 1, :9] = 4
    assert bucket_length(ids) == 16
    assert bucket_length(ids[:1], ids) == 16
