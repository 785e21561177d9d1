"""Finds an encoder by its specification."""

from pathlib import Path

from transforms.encoders import lite
from transforms.encoders.encoder import Encoder
from transforms.errors import UsageError


def check(name: str, weights: str = "imagenet") -> None:
    """Refuse early what `load` would refuse."""
    if name.lower() not in lite.FAMILY:
        raise UsageError(f"encoder {name!r} is unknown")
    if weights == "imagenet":
        lite.weights_file(name.lower())


def load(name: str, weights: str = "imagenet", *, features: str = "grid", seed: int = 0) -> Encoder:
    """Load an encoder."""
    import keras

    check(name, weights)
    model = lite.build(name.lower())
    if weights != "none":
        path = lite.weights_file(name.lower()) if weights == "imagenet" else Path(weights)
        lite.load_state(model, path)
    if features == "pooled":
        pooled = keras.layers.GlobalAveragePooling2D(name="pool")(model.output)
        model = keras.Model(model.input, pooled)
    return Encoder(
        model, name=name.lower(), weights=weights, features=features, architecture=name.lower()
    )
