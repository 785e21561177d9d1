"""The captioner as the peers run it: a Keras model, and a search in TensorFlow's graph."""

import io
from typing import Any

import numpy as np

from benchmarks import models
from transforms.stored import Form


class KerasCaptioner:
    """A CNN in Keras and the search of a captioner's SavedModel.

    Attributes:
        encoder: the Keras model.
        form: of its pictures.
    """

    def __init__(self, captioner: str, beam_width: int, length_penalty: float) -> None:
        """Load it and compile the function that captions a batch."""
        import tensorflow as tf

        self.encoder = models.keras_encoder(captioner)
        parts = models.savedmodel(captioner, beam_width, length_penalty)
        self.form, self.search = parts.form, parts.search
        self._encode = tf.function(lambda pixels: self.encoder(pixels, training=False))

    def caption(self, pixels: Any) -> list[str]:
        """Caption uint8 [B, height, width, 3]."""
        return self.search(self._encode(pixels))


def decode(data: bytes, form: Form) -> np.ndarray:
    """Decode and resize with Pillow, as most scripts do; uint8 [height, width, 3].

    What the captioner wants as a JPEG of another size is made one, as the job does; unlike the job
    it is made one even if it is stored so already.
    """
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        picture = image.convert("RGB")
    if form.like is not None:
        picture = picture.resize((form.like.width, form.like.height), Image.Resampling.BILINEAR)
    return fitted(np.asarray(picture), form)


def fitted(pixels: np.ndarray, form: Form) -> np.ndarray:
    """Make uint8 [height, width, 3] a JPEG where the captioner wants that, and scale it."""
    from PIL import Image

    picture = Image.fromarray(pixels)
    if (like := form.like) is not None:
        kept = io.BytesIO()
        picture.save(kept, "JPEG", quality=like.quality, subsampling=like.subsampling)
        picture = Image.open(kept).convert("RGB")
    return np.asarray(picture.resize((form.size[1], form.size[0]), Image.Resampling.BICUBIC))
