"""Trainings to measure, each in a process of its own: the project's and PyTorch's.

Both read the same data set, select by free-running CIDEr-D on dev with a beam of 3, and count the
tokens that the loss counts.
"""

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from transforms.dataset import Dataset, open_dataset
from transforms.metrics import CiderD
from transforms.text import PAD, tokenize

BATCH_IMAGES = 50
BEAM = 3
# What the PyTorch decoder is, in the project's flags.
SAME: dict[str, Any] = {
    "decoder": "topdown",
    "embedding": 256,
    "units": 512,
    "attention_units": 512,
    "hidden": 0,
    "dropout": 0.5,
    "feature_dropout": 0.0,
    "label_smoothing": 0.0,
    "averaging": 0.0,
    "schedule": "constant",
    "warmup_steps": 0,
    "batch_images": BATCH_IMAGES,
}
# What differs from the defaults in the decoders of docs/results.md.
DECODERS: dict[str, dict[str, Any]] = {
    "LSTM, soft attention": {},
    "GRU": {"decoder": "gru"},
    "two LSTMs, residual": {"layers": 2, "residual": True},
    "adaptive attention": {"attention": "adaptive"},
    "transformer of two layers": {"decoder": "transformer", "layers": 2},
    "no attention": {"attention": "none"},
    "top-down": {"decoder": "topdown"},
}


class Reached(Exception):  # noqa: N818  # no error: how a training that got there ends
    """The target is reached."""


class Clock:
    """Notes the score after each epoch, and the time that training took until then.

    Attributes:
        epochs: seconds of training, and dev CIDEr-D, after each epoch.
    """

    def __init__(self, score: Callable[[], float], target: float, most: float) -> None:
        """Start.

        Args:
            score: evaluates; the time that it takes does not count.
            target: score at which the training ends.
            most: seconds of training after which it ends in any case.
        """
        self._score, self._target, self._most = score, target, most
        self._start = time.monotonic()
        self._evaluating = 0.0
        self.epochs: list[dict[str, float]] = []

    def evaluate(self) -> float:
        """Score an epoch; raises Reached at the end."""
        began = time.monotonic()
        trained = began - self._start - self._evaluating
        score = self._score()
        self._evaluating += time.monotonic() - began
        self.epochs.append({"seconds": trained, "dev_cider": score})
        print(f"epoch {len(self.epochs)}: {trained:.0f} s, dev CIDEr {score:.4f}", flush=True)
        if score >= self._target or trained >= self._most:
            raise Reached
        return score

    def facts(self) -> dict[str, Any]:
        """Return the epochs, and when the target was reached, if it was."""
        last = self.epochs[-1]
        reached = {"target_seconds": last["seconds"]} if last["dev_cider"] >= self._target else {}
        return {"epochs": self.epochs, **reached}


def ours(dataset: str, flags: dict[str, Any], preset: str, target: float, most: float) -> Any:
    """Train a recipe of the project until the target."""
    from transforms import tensorflow_start

    tensorflow_start.start()
    from trainer import presets
    from trainer.evaluation import Evaluator
    from trainer.examples import DatasetExamples
    from trainer.loop import Trainer
    from trainer.model import Captioner

    data = open_dataset(dataset)
    configuration = presets.resolve(preset, flags)
    captioner = Captioner(configuration, len(data.vocabulary.tokens), data.feature_shape)
    evaluator = Evaluator(
        captioner, DatasetExamples(data, "dev"), references(data), data.vocabulary.tokens
    )
    clock = Clock(evaluator.score, target, most)
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(Reached):
        Trainer(captioner, DatasetExamples(data, "train"), clock.evaluate, folder).run()
    return {**clock.facts(), "weights": captioner.count_params()}


def torch(dataset: str, target: float, most: float, epochs: int) -> Any:
    """Train the plain decoder in PyTorch until the target."""
    from benchmarks.peers.torch_topdown import Training

    data = open_dataset(dataset)
    features, token_ids = arrays(data, "train")
    held_out, _ = arrays(data, "dev")
    words = data.vocabulary.tokens
    cider = CiderD(references(data))
    training = Training(len(words), features.shape[-1])

    def score() -> float:
        written = []
        for start in range(0, len(held_out), BATCH_IMAGES):
            batch = held_out[start : start + BATCH_IMAGES]
            written += training.caption(batch, BEAM, data.text["max_length"])
        return cider.score([[words[i] for i in ids] for ids in written])[0]

    random = np.random.default_rng(0)
    clock = Clock(score, target, most)
    with contextlib.suppress(Reached):
        for _ in range(epochs):
            training.run(batches(features, token_ids, random), lambda captions, tokens: None)
            clock.evaluate()
    weights = sum(parameter.numel() for parameter in training.decoder.parameters())
    return {**clock.facts(), "weights": weights}


def our_speed(dataset: str, steps: int, flags: dict[str, Any]) -> dict[str, Any]:
    """Train a configuration with the project's loop for some steps."""
    from transforms import tensorflow_start

    tensorflow_start.start()
    from trainer.configuration import Configuration
    from trainer.examples import ArrayExamples
    from trainer.loop import Trainer
    from trainer.model import Captioner

    data = open_dataset(dataset)
    configuration = Configuration(**flags, epochs=2)
    batch = configuration.batch_images
    features, token_ids = arrays(data, "train", batch * steps)
    captioner = Captioner(configuration, len(data.vocabulary.tokens), data.feature_shape)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(captioner, ArrayExamples(features, token_ids), lambda: 0.0, folder)
        # The first epoch traces the graph and warms up.
        row = trainer.run().history[-1]
    return {
        "tokens_per_second": row["tokens_per_second"],
        "weights": captioner.count_params(),
        "profile": our_profile(captioner, features[:batch], token_ids[:batch]),
    }


def torch_speed(dataset: str, steps: int) -> dict[str, Any]:
    """Train the PyTorch decoder for some steps."""
    from benchmarks.peers import torch_topdown

    data = open_dataset(dataset)
    features, token_ids = arrays(data, "train", BATCH_IMAGES * steps)
    training = torch_topdown.Training(len(data.vocabulary.tokens), features.shape[-1])
    tokens = 0

    def count(_: int, more: int) -> None:
        nonlocal tokens
        tokens += more

    first = (features[:BATCH_IMAGES], token_ids[:BATCH_IMAGES])
    training.run(iter([first]), lambda captions, tokens: None)
    start = time.monotonic()
    training.run(batches(features, token_ids, np.random.default_rng(0)), count)
    seconds = time.monotonic() - start
    return {
        "tokens_per_second": tokens / seconds,
        "weights": sum(parameter.numel() for parameter in training.decoder.parameters()),
        "profile": torch_topdown.profile(training, *first),
    }


def our_profile(captioner: Any, features: np.ndarray, token_ids: np.ndarray) -> dict[str, float]:
    """Return the CPU seconds of a training step by TensorFlow's operations, the largest first."""
    from pathlib import Path

    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    from trainer.loss import teacher_forced
    from trainer.noise import Noise

    weights = [variable.value for variable in captioner.trainable_variables]

    @tf.function
    def step(inputs: Any, tokens: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = teacher_forced(captioner, inputs, tokens, noise=Noise(tf.constant([0, 1])))
        return tape.gradient(loss.mean, weights)

    batch = (tf.constant(features), tf.constant(token_ids))
    step(*batch)
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            step(*batch)
        spent: dict[str, float] = {}
        for path in Path(folder).rglob("*.xplane.pb"):
            space = xplane_pb2.XSpace()
            space.ParseFromString(path.read_bytes())
            for plane in space.planes:
                if plane.name != "/host:CPU":
                    continue
                for line in plane.lines:
                    for event in line.events:
                        # "name:Type" are operations; the rest is what runs them.
                        name = plane.event_metadata[event.metadata_id].name
                        kind = name.rpartition(":")[2] if ":" in name else ""
                        if kind.isidentifier():
                            spent[kind] = spent.get(kind, 0.0) + event.duration_ps / 1e12
    return dict(sorted(spent.items(), key=lambda pair: -pair[1]))


def references(data: Dataset) -> list[list[list[str]]]:
    """Return the words of the captions of each dev image."""
    tokenizer = data.text["tokenizer"]
    return [
        [tokenize(caption, tokenizer) for caption in record.captions]
        for record in data.records("dev")
    ]


def arrays(data: Dataset, split: str, count: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the features [B, ...] and the token ids int32 [B, n, T] of a split's first images."""
    count = min(count or data.images(split), data.images(split))
    assert data.feature_shape is not None, "the data set stores images"
    features = np.empty((count, *data.feature_shape), data.feature_dtype)
    captions: list[tuple[tuple[int, ...], ...]] = []
    for place, record in zip(range(count), data.records(split), strict=False):
        features[place] = record.features
        captions.append(record.token_ids)
    most = max(map(len, captions))
    token_ids = np.full((count, most, data.text["max_length"] + 2), PAD, np.int32)
    for place, rows in enumerate(captions):
        for number, ids in enumerate(rows):
            token_ids[place, number, : len(ids)] = ids
    return features, token_ids


def batches(
    features: np.ndarray, token_ids: np.ndarray, random: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield shuffled batches of BATCH_IMAGES images."""
    order = random.permutation(len(features))
    for start in range(0, len(order), BATCH_IMAGES):
        chosen = np.sort(order[start : start + BATCH_IMAGES])
        yield features[chosen], token_ids[chosen]
