"""The captioner as the peers run it: a Keras model, and a search in TensorFlow's graph."""

import io
from typing import Any

import numpy as np

from benchmarks import models


class KerasCaptioner:
    """A CNN in Keras and the search of a captioner's SavedModel.

    Attributes:
        encoder: the Keras model.
        size: (height, width) of its pictures.
    """

    def __init__(self, captioner: str, beam_width: int, length_penalty: float) -> None:
        """Load it and compile the function that captions a batch."""
        import tensorflow as tf

        self.encoder = models.keras_encoder(captioner)
        parts = models.savedmodel(captioner, beam_width, length_penalty)
        self.size, self.search = parts.size, parts.search
        self._encode = tf.function(lambda pixels: self.encoder(pixels, training=False))

    def caption(self, pixels: Any) -> list[str]:
        """Caption uint8 [B, height, width, 3]."""
        return self.search(self._encode(pixels))


def decode(data: bytes, size: tuple[int, int]) -> np.ndarray:
    """Decode and resize with Pillow, as most scripts do; uint8 [height, width, 3]."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        scaled = image.convert("RGB").resize((size[1], size[0]), Image.Resampling.BICUBIC)
        return np.asarray(scaled)
