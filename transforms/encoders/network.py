"""What every family of encoders hands to the registry, and what they share."""

import dataclasses
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from transforms.errors import UsageError

if TYPE_CHECKING:
    import keras


@dataclasses.dataclass(frozen=True)
class Network:
    """A CNN before it is assembled into an encoder.

    Attributes:
        cnn: the model, up to its last map.
        architecture: names the model up to its weights; the same text on every machine.
        preprocess: from RGB values 0..255 to what `cnn` takes; None where it is inside.
    """

    cnn: "keras.Model"
    architecture: str
    preprocess: Callable[[Any], Any] | None = None


def initialise(model: "keras.Model", seed: int) -> None:
    """Set every kernel of a model at random: uniform in +-sqrt(6 / fan-in) (He et al., 2015).

    Other weights keep the values they are built with. The same seed gives the same bytes on every
    machine, and no global random state is used.
    """
    rng = np.random.Generator(np.random.Philox(seed))
    for weight in model.weights:
        shape = tuple(weight.shape)
        if len(shape) < 2:
            continue
        # A depthwise kernel [height, width, channels, 1] sees one channel at a time.
        seen = shape[:-2] if len(shape) == 4 and shape[-1] == 1 else shape[:-1]
        limit = np.float32(math.sqrt(6 / math.prod(seen)))
        weight.assign((rng.random(shape, np.float32) * 2 - 1) * limit)


def load_keras_weights(model: "keras.Model", path: Path) -> None:
    """Set a model's weights from a Keras weights file.

    Raises:
        UsageError: the file is not readable, or is for another network.
    """
    try:
        with warnings.catch_warnings():
            # Keras only warns when layers find nothing in the file and stay as they were.
            warnings.filterwarnings("error", message="Skipping")
            model.load_weights(path)
    except Exception as error:  # h5py and Keras raise many types for files that do not fit
        raise misfit(path, model.name, error) from error


def misfit(path: Path, network: str, error: Exception) -> UsageError:
    """Return the error for weights that a network cannot take."""
    reason = " ".join(str(error).split())[:200]
    return UsageError(f"encoder weights {path}: cannot be used for {network}: {reason}")
