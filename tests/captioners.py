"""Small data sets and captioners for tests: untrained, but whole."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer import export
from trainer.configuration import Configuration
from trainer.model import Captioner
from trainer.search import beam_search
from transforms import encoders, files, images
from transforms.dataset import Dataset, open_dataset
from transforms.text import RESERVED, Vocabulary, join

WORDS = ("a", "red", "blue", "round", "big", "box", "ball", "it's")
SIZE = (32, 32)
MAX_LENGTH = 6
METRICS = {"split": "dev", "epoch": 2, "scores": {"CIDEr": 0.25}}
EPOCH = {"phase": "cross-entropy", "learning_rate": 0.001, "tokens_per_second": 9.0, "seconds": 1}
HISTORY = [
    {"epoch": 1, "loss": 2.5, "dev_cider": 0.125, **EPOCH},
    {"epoch": 2, "loss": 2.0, "dev_cider": 0.25, **EPOCH},
]


def encoder_file(path: Path) -> str:
    """Write a Keras model file with a 4 x 4 x 6 map; returns its path."""
    keras.utils.set_random_seed(0)
    pixels = keras.Input((*SIZE, 3))
    scaled = keras.layers.Rescaling(1 / 128, offset=-1)(pixels)
    keras.Model(pixels, keras.layers.Conv2D(6, 8, 8, activation="relu")(scaled)).save(path)
    return str(path)


def dataset(
    folder: Path, encoder: str, words: Sequence[str] = WORDS, tokenizer: str = "words"
) -> Dataset:
    """Write a data set without records; `encoder` is the path of a model file, or `none`."""
    vocabulary = Vocabulary(RESERVED + tuple(words))
    facts: dict[str, Any] = {"name": "none", "input_size": list(SIZE)}
    if encoder != "none":
        facts = encoders.load(encoder).describe() | {"dtype": "float16"}
    text = files.write_bytes(str(folder / "vocabulary.txt"), vocabulary.to_text().encode())
    files.write_json(
        str(folder / "dataset.json"),
        {
            "format": "beamcap.dataset",
            "version": 1,
            "configuration": {
                "images": ["/home/someone/private/my_photos"],
                "captions": ["/home/someone/private/captions.token.txt"],
                "captions_format": "flickr",
                "seed": 0,
            },
            "encoder": facts,
            "text": {
                "tokenizer": tokenizer,
                "max_length": MAX_LENGTH,
                "min_count": 5,
                "size": len(vocabulary),
                "digest": vocabulary.digest,
            },
            "splits": {"train": {"images": 6, "captions": 30, "files": []}},
            "files": {"vocabulary.txt": text},
        },
    )
    return open_dataset(folder)


def configuration(**changes: Any) -> Configuration:
    """Return a model of few numbers."""
    small = {"units": 12, "embedding": 8, "hidden": 10, "attention_units": 6, "beam_width": 2}
    return Configuration(**{**small, **changes})


def model(data: Dataset, settings: Configuration) -> Captioner:
    """Return an untrained model whose weights are large, so that it says different things."""
    captioner = Captioner(settings, len(data.vocabulary), data.feature_shape)
    for variable in captioner.trainable_variables:
        variable.assign(variable * 3)
    return captioner


def write(folder: str | Path, data: Dataset, captioner: Captioner, **changes: Any) -> None:
    """Export a captioner."""
    arguments: dict[str, Any] = {"metrics": METRICS, "history": HISTORY, **changes}
    export.export(
        str(folder),
        model=captioner,
        dataset=data,
        configuration=captioner.configuration,
        **arguments,
    )


# Run apart: what this process has imported already would hide what the engines import.
_LIGHT = """
import sys, numpy
from transforms import captioner, engines
for name in ("openvino", "onnxruntime"):
    engine = engines.load(sys.argv[1], name)
    memory, state = engine.start(engine.encode(numpy.zeros((1, 32, 32, 3), numpy.uint8)))
    assert engine.step(numpy.array([[1]]), state, memory).log_probs.shape[:2] == (1, 1)
heavy = {"tensorflow", "keras", "apache_beam", "tf2onnx"} & set(sys.modules)
assert not heavy, heavy
# Nobody is told that it was used.
assert sys.modules["openvino_telemetry"] is None
"""


def check_light_engines(folder: str | Path, **options: Any) -> None:
    """Check that ONNX files are encoded and decoded with, by a process without TensorFlow.

    Args:
        folder: of a captioner whose ONNX files are there, for pictures of 32 x 32.
        options: of the process.
    """
    subprocess.run([sys.executable, "-c", _LIGHT, folder], check=True, **options)


def spell(
    captioner: Captioner, data: Dataset, inputs: np.ndarray, width: int, penalty: float
) -> tuple[list[list[str]], np.ndarray]:
    """Caption features or pixels in Python; returns captions [B][K] and scores [B, K]."""
    memory = captioner.prepare(tf.constant(inputs))
    tokens, scores = beam_search(
        captioner, memory, beam_width=width, length_penalty=penalty, max_length=MAX_LENGTH
    )
    tokenizer = data.text["tokenizer"]
    captions = [
        [join(data.vocabulary.decode(ids), tokenizer) for ids in row] for row in tokens.numpy()
    ]
    return captions, scores.numpy()


def pictures(count: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Return smooth pictures of different colours, uint8 [count, height, width, 3]."""
    random = np.random.default_rng(1)
    corners = random.integers(0, 256, (count, 2, 2, 3)).astype(np.float32)
    return tf.image.resize(corners, size, "bilinear").numpy().astype(np.uint8)


def jpegs(count: int) -> list[bytes]:
    """Return JPEG files of smooth pictures, larger than the encoder's input."""
    return [images.to_jpeg(pixels) for pixels in pictures(count, (90, 120))]
