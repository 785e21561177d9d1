"""A Keras model file (`.keras`) as an encoder."""

import hashlib
import json
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from transforms.encoders.network import Network
from transforms.errors import UsageError

# Layers that bring code or files of their own, which a model file must not.
_FOREIGN = frozenset({"Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"})


def check(path: Path) -> str:
    """Check a model file as far as that goes without loading it.

    Returns:
        The architecture: a sha256 (hex) of the model's configuration.

    Raises:
        UsageError: the file is absent, is no Keras model, or has layers that are not Keras's own.
    """
    if not path.is_file():
        raise UsageError(f"encoder {path}: no such file")
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise UsageError(f"encoder {path}: no Keras model: make one with model.save()") from error
    refuse_foreign(config, str(path), ("keras",))
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def refuse_foreign(config: Any, name: str, packages: Sequence[str]) -> None:
    """Refuse a serialised configuration that brings code, or names that of another package.

    Args:
        config: of a model, as JSON has it.
        name: of the encoder, for the message.
        packages: whose classes it may use.

    Raises:
        UsageError: with what it uses.
    """
    for node in _nodes(config):
        kind, module = node.get("class_name"), node.get("module")
        if kind in _FOREIGN:
            raise UsageError(
                f"encoder {name}: has a {kind} layer, whose code is not run from a file: "
                "replace it with Keras's own layers and save again"
            )
        if isinstance(module, str) and module.split(".")[0] not in (*packages, "builtins"):
            raise UsageError(f"encoder {name}: uses {module}.{kind}, which is not a part of Keras")


def build(path: Path) -> Network:
    """Load a model file; nothing in it is run but Keras's own layers.

    The model takes RGB values 0..255 [B, height, width, 3] and gives features [B, rows, columns,
    channels] or [B, channels].

    Raises:
        UsageError: it cannot be loaded, or has another kind of input or output.
    """
    import keras

    architecture = f"keras model {check(path)}"
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises nearly every type for files that do not fit
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"encoder {path}: cannot be loaded: {reason}") from error
    inputs, outputs = model.inputs, model.outputs
    shape = tuple(inputs[0].shape) if len(inputs) == 1 else ()
    if len(shape) != 4 or shape[3] != 3 or None in shape[1:]:
        raise UsageError(f"encoder {path}: must have one input [B, height, width, 3], all known")
    shape = tuple(outputs[0].shape) if len(outputs) == 1 else ()
    if len(shape) not in (2, 4) or None in shape[1:]:
        raise UsageError(
            f"encoder {path}: must have one output, [B, rows, columns, channels] or [B, channels]"
        )
    return Network(model, architecture)


def _nodes(config: Any) -> Iterator[dict[str, Any]]:
    """Yield every dictionary in a configuration."""
    if isinstance(config, dict):
        yield config
        config = list(config.values())
    if isinstance(config, list):
        for value in config:
            yield from _nodes(value)
