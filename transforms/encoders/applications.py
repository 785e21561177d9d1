"""The networks of `keras.applications`, each with its own preprocessing."""

import difflib
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from transforms.encoders.network import Network
from transforms.errors import UsageError

if TYPE_CHECKING:
    import keras

# The side of the images that a network was trained on, in pixels, where it is not 224. Keras keeps
# it inside each constructor.
_SIDES = {
    "EfficientNetB1": 240,
    "EfficientNetB2": 260,
    "EfficientNetB3": 300,
    "EfficientNetB4": 380,
    "EfficientNetB5": 456,
    "EfficientNetB6": 528,
    "EfficientNetB7": 600,
    "EfficientNetV2B1": 240,
    "EfficientNetV2B2": 260,
    "EfficientNetV2B3": 300,
    "EfficientNetV2S": 384,
    "EfficientNetV2M": 480,
    "EfficientNetV2L": 480,
    "InceptionResNetV2": 299,
    "InceptionV3": 299,
    "NASNetLarge": 331,
    "Xception": 299,
}


def resolve(name: str, others: tuple[str, ...] = ()) -> str:
    """Return a network's name as Keras spells it, from any mix of cases.

    Raises:
        UsageError: no such network; the message suggests the nearest of these and of `others`.
    """
    names = {known.lower(): known for known in _names()}
    if name.lower() in names:
        return names[name.lower()]
    near = difflib.get_close_matches(name.lower(), [*others, *names], n=3)
    hint = f"did you mean {', '.join(names.get(n, n) for n in near)}?" if near else ""
    hint = hint or f"use {', '.join(others)}, a name of keras.applications or a .keras file"
    raise UsageError(f"encoder {name!r} is unknown: {hint}")


def build(name: str, *, imagenet: bool) -> Network:
    """Build a network by its exact name, with ImageNet weights or with any.

    Raises:
        UsageError: the ImageNet weights are neither in Keras's cache nor can be downloaded.
    """
    constructor = _constructor(name)
    side = _SIDES.get(name, 224)

    def construct(weights: str | None) -> "keras.Model":
        return constructor(include_top=False, weights=weights, input_shape=(side, side, 3))

    if imagenet:
        try:
            cnn = construct("imagenet")
        except Exception as error:  # Keras raises a bare Exception when a download fails
            reason = " ".join(str(error).split())
            raise UsageError(
                f"encoder {name}: its ImageNet weights cannot be downloaded ({reason}): "
                "pass a file with --encoder_weights"
            ) from error
    else:
        cnn = construct(None)
    preprocess = sys.modules[constructor.__module__].preprocess_input
    return Network(cnn, f"keras.applications.{name}", preprocess)


def _names() -> list[str]:
    import keras

    return [name for name in dir(keras.applications) if name[0].isupper()]


def _constructor(name: str) -> Callable[..., Any]:
    import keras

    constructor: Callable[..., Any] = getattr(keras.applications, name)
    return constructor
