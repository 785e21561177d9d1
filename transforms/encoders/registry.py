"""Finds an encoder by its specification and puts it together.

A specification is `efficientnet-lite0`, `-lite1` or `-lite2`, a name of `keras.applications` in any
mix of cases, the path of a `.keras` file, or `hub:` and a preset of keras-hub or the folder of one.
Weights are `imagenet`, `none` (random, from a seed) or the path of a file; for a model file and a
preset, `imagenet`, the default, means the weights that it brings.

Features are `grid`, `pooled`, or the name of a cut (`transforms.encoders.cuts`): the map there, for
a trainer that computes the rest itself, and trains it.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transforms.encoders import applications, cuts, hub, lite, model_file
from transforms.encoders.encoder import BATCH_SIZE, Encoder, digest
from transforms.encoders.network import Network, initialise, load_keras_weights
from transforms.errors import UsageError

if TYPE_CHECKING:
    import keras

FEATURES = ("grid", "pooled")
_BRING_BACK = "bring that one back, as constraints.txt names it, or make this again"


def check(name: str, weights: str = "imagenet", features: str = "grid") -> None:
    """Refuse what `load` would refuse, before work starts.

    Costs next to nothing for EfficientNet-Lite and model files; for a cut the network is built.
    Weights of `keras.applications` and of keras-hub are fetched into their caches.

    Raises:
        UsageError: unknown encoder, absent package, file or weights, or no such features.
    """
    _check_weights(weights)
    if _is_file(name):
        model_file.check(Path(name))
    elif name.startswith(hub.PREFIX):
        hub.build(name, weights=weights == "imagenet")
    elif name.lower() in lite.FAMILY:
        if weights == "imagenet":
            lite.weights_file(name.lower())
    else:
        name = _resolve(name)
        if weights == "imagenet":
            applications.build(name, imagenet=True)
    if features not in FEATURES:
        name, network = _network(name, "none")
        cuts.split(network.cnn, features, name)


def load(
    name: str,
    weights: str = "imagenet",
    *,
    features: str = "grid",
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
) -> Encoder:
    """Load an encoder.

    Args:
        name: the specification.
        weights: `imagenet`, `none` or a file: a Keras weights file (`.weights.h5`), or for
            EfficientNet-Lite a PyTorch state dict (`.pth`).
        features: `grid` for the last map, `pooled` for its mean over rows and columns, or a cut
            for the map there.
        seed: what weights `none` are drawn from.
        batch_size: images that one call of its graph computes.

    Raises:
        UsageError: see `check`; or the file does not fit, or the network has no grid.
    """
    name, network = _weighted(name, weights, seed)
    cnn, upper = network.cnn, None
    if features not in FEATURES:
        cnn, upper = cuts.split(network.cnn, features, name)
    return Encoder(
        _assemble(name, cnn, network.preprocess, features),
        name=name,
        weights="file" if _brings_weights(name) and weights == "imagenet" else weights,
        features=features,
        architecture=network.architecture,
        rest=upper and describe_rest(upper),
        batch_size=batch_size,
    )


def load_same(
    facts: Mapping[str, Any], seed: int, source: str, remedy: str = _BRING_BACK
) -> Encoder:
    """Load the encoder that a manifest describes.

    Args:
        facts: what the manifest says of it: `name`, `weights`, `features` and `digest`.
        seed: that its weights were drawn from, if they were.
        source: whose manifest it is, for an error.
        remedy: what to do where it is another, likewise.

    Raises:
        UsageError: it is not installed, or is another than the one described.
    """
    # A model file's own weights are called `file`, and loaded by default.
    weights = "imagenet" if facts["weights"] == "file" else facts["weights"]
    encoder = load(facts["name"], weights, features=facts["features"], seed=seed)
    if encoder.digest != facts["digest"]:
        raise UsageError(
            f"{source} was made by another {facts['name']} (digest {facts['digest'][:12]}) than the"
            f" one here ({encoder.digest[:12]}): {remedy}"
        )
    return encoder


def rest(name: str, weights: str = "imagenet", *, cut: str, seed: int = 0) -> "keras.Model":
    """Load what is above a cut: from the map there [B, ...] to the last one, both float32.

    With the encoder that `load` makes for the same cut it computes what the whole one does, but for
    what the map loses where it is stored in float16.

    Args:
        name: as for `load`, as are the others.
        weights: also `file`, as an encoder of a model file calls its own.
        cut: the features of the lower half.
        seed: what weights `none` are drawn from.

    Raises:
        UsageError: see `load`; or there is no grid above the cut.
    """
    name, network = _weighted(name, "imagenet" if weights == "file" else weights, seed)
    upper = cuts.split(network.cnn, cut, name)[1]
    if len(upper.outputs[0].shape) != 4:
        raise UsageError(f"encoder {name}: gives vectors, not a grid: it cannot be cut")
    return upper


def describe_rest(model: "keras.Model") -> dict[str, Any]:
    """Return what a manifest records of what is above a cut, as JSON-able values."""
    return {
        "output_shape": list(model.outputs[0].shape[1:]),
        "digest": digest(model, "rest", "grid"),
    }


def _weighted(name: str, weights: str, seed: int) -> tuple[str, Network]:
    """Return the encoder's proper name and its network with its weights."""
    _check_weights(weights)
    name, network = _network(name, weights)
    if weights == "none":
        initialise(network.cnn, seed)
    elif weights != "imagenet":
        _load_file(network, Path(weights))
    return name, network


def _check_weights(weights: str) -> None:
    if weights not in ("imagenet", "none") and not Path(weights).is_file():
        raise UsageError(f"encoder weights {weights}: no such file: use imagenet, none or a file")


def _is_file(name: str) -> bool:
    return name.lower().endswith(".keras")


def _brings_weights(name: str) -> bool:
    return _is_file(name) or name.startswith(hub.PREFIX)


def _resolve(name: str) -> str:
    if name == "none":
        raise UsageError("encoder none: images are stored as they are, there is no network to load")
    return applications.resolve(name, tuple(lite.FAMILY))


def _network(name: str, weights: str) -> tuple[str, Network]:
    """Return the encoder's proper name and its network, with ImageNet weights where wanted."""
    if _is_file(name):
        return name, model_file.build(Path(name))
    if name.startswith(hub.PREFIX):
        return name, hub.build(name, weights=weights == "imagenet")
    if name.lower() not in lite.FAMILY:
        name = _resolve(name)
        return name, applications.build(name, imagenet=weights == "imagenet")
    name = name.lower()
    state = lite.weights_file(name) if weights == "imagenet" else None
    folded = weights != "none"
    network = Network(lite.build(name, folded=folded), name if folded else name + " unfolded")
    if state is not None:
        lite.load_state(network.cnn, state)
    return name, network


def _load_file(network: Network, path: Path) -> None:
    if path.suffix == ".pth" and network.architecture in lite.FAMILY:
        lite.load_state(network.cnn, path)
    else:
        load_keras_weights(network.cnn, path)


def _assemble(
    name: str, cnn: "keras.Model", preprocess: Callable[[Any], Any] | None, features: str
) -> "keras.Model":
    """Put the preprocessing before a network and the pooling behind it."""
    import keras

    rank = len(cnn.outputs[0].shape)
    if features == "grid" and rank != 4:
        raise UsageError(f"encoder {name}: gives vectors, not a grid: use pooled features")
    model = cnn
    if preprocess is not None:
        pixels = keras.Input(cnn.inputs[0].shape[1:], name="pixels")
        model = keras.Model(pixels, cnn(preprocess(pixels)), name=cnn.name + "_pixels")
    if features == "pooled" and rank == 4:
        pooled = keras.layers.GlobalAveragePooling2D(name="pool")(model.outputs[0])
        model = keras.Model(model.inputs[0], pooled, name=cnn.name + "_pooled")
    return model
