"""A tiny task that trains in seconds: the features say which words the captions have."""

import dataclasses
import hashlib
from pathlib import Path

import keras
import numpy as np

from tests import captioners
from trainer.configuration import Configuration
from trainer.examples import ArrayExamples
from trainer.model import Captioner
from trainer.presets import resolve
from transforms import encoders, files, records
from transforms import images as images_
from transforms.dataset import Dataset, open_dataset
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
        "heads": 3,
        "feed_forward": 16,
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


def dataset(
    folder: Path,
    *,
    encoder: str = "keras",
    train: int = 12,
    dev: int = 4,
    views: tuple[str, ...] = (),
) -> Dataset:
    """Write a data set with records: red boxes and blue balls, easy to tell apart.

    Args:
        folder: where.
        encoder: `keras` for a grid of 4 x 4 x 6, `none` for JPEGs of 32 x 32.
        train: images of the split train, in two files.
        dev: images of the split dev.
        views: of the images of train, records of their own.
    """
    file = folder.parent / "cnn.keras"
    if encoder == "keras" and not file.exists():
        captioners.encoder_file(file)
    data = captioners.dataset(folder, str(file) if encoder == "keras" else encoder)
    manifest = data.manifest
    manifest["splits"] = {}
    for split, count in (("train", train), ("dev", dev)):
        names = []
        for part in range(2 if split == "train" else 1):
            kept = [
                _record(data, split, n) for n in range(part, count, 2 if split == "train" else 1)
            ]
            names.append(f"data/{split}-{part}.tfrecord")
            with files.atomic(files.join(str(folder), names[-1])) as stream:
                records.write(stream, records.encode(kept))
                for view in views if split == "train" else ():
                    seen = [dataclasses.replace(record, view=view) for record in kept]
                    records.write(stream, records.encode(seen))
            manifest["files"][names[-1]] = {"bytes": stream.size, "sha256": stream.sha256}
        manifest["splits"][split] = {"images": count, "captions": 3 * count, "files": names}
        if views and split == "train":
            manifest["splits"][split]["records"] = count * (1 + len(views))
    files.write_json(files.join(str(folder), "dataset.json"), manifest)
    return open_dataset(folder)


def cut_dataset(folder: Path, **images: int) -> Dataset:
    """Write a data set like `dataset`, of the map below a CNN's last convolution, `high`.

    Args:
        folder: where.
        **images: see `dataset`.
    """
    file = folder.parent / "cnn.keras"
    keras.utils.set_random_seed(0)
    pixels = keras.Input((32, 32, 3))
    low = keras.layers.Conv2D(6, 8, 8, activation="relu", name="low")(
        keras.layers.Rescaling(1 / 128, offset=-1)(pixels)
    )
    keras.Model(pixels, keras.layers.Conv2D(5, 3, name="high")(low)).save(file)
    manifest = dataset(folder, **images).manifest
    facts = encoders.load(str(file), features="low").describe()
    manifest["encoder"] = facts | {"dtype": "float16"}
    files.write_json(str(folder / "dataset.json"), manifest)
    return open_dataset(folder)


def _record(data: Dataset, split: str, number: int) -> records.Record:
    red = number % 2 == 0
    captions = ("a big red box", "a red box", "a red round box")
    if not red:
        captions = ("a blue ball", "a round blue ball", "a big blue ball")
    ids = tuple(tuple(data.vocabulary.encode(c.split(), 6)) for c in captions)
    random = np.random.default_rng([number, split == "train"])
    features = image = None
    if data.stores_images:
        pixels = np.full((32, 32, 3), (200, 30, 30) if red else (30, 30, 200), np.uint8)
        image = images_.to_jpeg(pixels)
    else:
        features = random.normal(size=(4, 4, 6)).astype(np.float16)
        features[..., 0] += 3 if red else -3
    return records.Record(
        key=f"{split}/{number}.jpg",
        uri=f"/images/{split}/{number}.jpg",
        sha256=hashlib.sha256(f"{split}/{number}".encode()).hexdigest(),
        width=32,
        height=32,
        captions=captions,
        token_ids=ids,
        features=features,
        image=image,
    )
