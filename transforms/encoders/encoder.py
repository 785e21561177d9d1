"""A loaded CNN and what identifies it."""

import functools
import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

BATCH_SIZE = 32


class Encoder:
    """A CNN from pixels to features, with its preprocessing inside.

    Attributes:
        name: the specification it was loaded by.
        weights: `imagenet`, `none` or the file they came from.
        features: `grid`, `pooled` or the name of a cut.
        input_size: (height, width) of its input, in pixels.
        output_shape: (rows, columns, channels) of a grid, or (channels,).
        digest: sha256 (hex) of architecture, weights and kind of features; the same on every
            machine for the same network.
        model: from RGB values 0..255 [B, height, width, 3], any numeric dtype, to float32
            [B, *output_shape]. Plain Keras: it can be a part of another model and be trained.
        rest: of a cut, what identifies the blocks above it; None otherwise.
        batch_size: how many images one call of the graph computes.
    """

    def __init__(
        self,
        model: "keras.Model",
        *,
        name: str,
        weights: str,
        features: str,
        architecture: str,
        rest: Mapping[str, Any] | None = None,
        batch_size: int = BATCH_SIZE,
    ) -> None:
        """Wrap a model.

        Args:
            architecture: names the network up to its weights; the same text on every machine.
        """
        self.model = model
        self.name = name
        self.weights = weights
        self.features = features
        self.batch_size = batch_size
        self.input_size: tuple[int, int] = tuple(model.inputs[0].shape[1:3])
        self.output_shape: tuple[int, ...] = tuple(model.outputs[0].shape[1:])
        self.rest = rest
        self.digest = digest(model, architecture, features)

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """Compute the features of images.

        The graph always sees `batch_size` images (the last batch is padded with black ones), so
        an image's features do not depend on how many images come with it.

        Args:
            pixels: uint8 [B, height, width, 3], RGB; B may be any number.

        Returns:
            float32 [B, *output_shape].
        """
        count = len(pixels)
        features = np.empty((count, *self.output_shape), np.float32)
        for start in range(0, count, self.batch_size):
            batch = pixels[start : start + self.batch_size]
            size = len(batch)
            if size < self.batch_size:
                batch = np.pad(batch, ((0, self.batch_size - size), (0, 0), (0, 0), (0, 0)))
            features[start : start + size] = self._graph(batch).numpy()[:size]
        return features

    def describe(self) -> dict[str, Any]:
        """Return what a manifest records of the encoder, as JSON-able values."""
        facts = {
            "name": self.name,
            "weights": self.weights,
            "features": self.features,
            "input_size": list(self.input_size),
            "output_shape": list(self.output_shape),
            "digest": self.digest,
        }
        return facts if self.rest is None else facts | {"rest": dict(self.rest)}

    @functools.cached_property
    def _graph(self) -> Any:
        import tensorflow as tf

        signature = tf.TensorSpec((self.batch_size, *self.input_size, 3), tf.uint8)
        return tf.function(
            lambda pixels: self.model(pixels, training=False),
            input_signature=[signature],
            autograph=False,
        )


def digest(model: "keras.Model", architecture: str, features: str) -> str:
    """Return a sha256 (hex) of a model, the same on every machine for the same network.

    Args:
        model: with its weights.
        architecture: names it up to its weights.
        features: what is taken from it.
    """
    header = {
        "architecture": architecture,
        "features": features,
        "input_size": model.inputs[0].shape[1:3],
        "output_shape": model.outputs[0].shape[1:],
    }
    result = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    # Keras orders weights by their place in the graph; names may carry a global counter.
    for weight in model.weights:
        values = np.asarray(weight)
        result.update(f"{values.dtype.name}{list(values.shape)}".encode())
        result.update(np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes())
    return result.hexdigest()
