"""A tiny task that trains in seconds: the features say which words the captions have."""

import numpy as np

from trainer.configuration import Configuration
from trainer.examples import ArrayExamples
from trainer.model import Captioner
from trainer.presets import resolve
from transforms.text import END, START

WORDS = ("<pad>", "<start>", "<end>", "<unk>", "a", "red", "blue", "round", "big", "box", "ball")
VOCABULARY = len(WORDS)
STEPS = 7
GRID = (2, 2, 5)


def configuration(**changes: object) -> Configuration:
    """Return a small model, quick to train, with all that the defaults have."""
    small = {
        "units": 12,
        "embedding": 8,
        "hidden": 10,
        "attention_units": 6,
        "epochs": 2,
        "batch_images": 4,
        "learning_rate": 0.02,
        "warmup_steps": 2,
        "dropout": 0.2,
        "beam_width": 2,
        "averaging": 0.9,
    }
    return resolve("attention-lstm", small | changes)


def token_ids(images: int, captions: int = 3, seed: int = 0) -> np.ndarray:
    """Draw captions of 0 (absent) or 1 to 5 words, int32 [images, captions, STEPS]."""
    random = np.random.default_rng(seed)
    ids = np.zeros((images, captions, STEPS), np.int32)
    for image in range(images):
        for caption in range(captions):
            length = random.integers(1, STEPS - 1)
            words = random.integers(END + 2, VOCABULARY, length)
            if caption == 0 or random.random() < 0.8:
                ids[image, caption, : length + 2] = [START, *words, END]
    return ids


def features(images: int, shape: tuple[int, ...] = GRID, seed: int = 0) -> np.ndarray:
    """Draw features, float16 [images, *shape]."""
    return np.random.default_rng(seed).normal(size=(images, *shape)).astype(np.float16)


def examples(images: int = 10, shape: tuple[int, ...] = GRID) -> ArrayExamples:
    """Return images with random features and captions."""
    return ArrayExamples(features(images, shape), token_ids(images))


def captioner(shape: tuple[int, ...] = GRID, **changes: object) -> Captioner:
    """Return an untrained small model."""
    return Captioner(configuration(**changes), VOCABULARY, shape)
