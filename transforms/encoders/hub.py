"""Image backbones of keras-hub: CLIP, SigLIP, DINOv2, ResNet ..., each with its own preprocessing.

A backbone is named by `hub:` and a preset, such as `hub:clip_vit_base_patch16`, whose weights
keras-hub fetches, or a folder that its `save_to_preset` wrote. Nothing in such a folder is run but
the layers of Keras and keras-hub.
"""

import hashlib
import importlib.util
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transforms.encoders import model_file
from transforms.encoders.network import Network
from transforms.errors import UsageError

if TYPE_CHECKING:
    import keras

PREFIX = "hub:"
_CONFIG = "config.json"
_CONVERTER = "image_converter.json"


def check(name: str) -> None:
    """Check a backbone as far as that goes without building it.

    Args:
        name: the specification.

    Raises:
        UsageError: keras-hub is absent; or the folder is no preset of it, or has other layers.
    """
    if importlib.util.find_spec("keras_hub") is None:
        raise UsageError(f"encoder {name}: keras-hub is not installed: run pip install -e '.[hub]'")
    folder = Path(name.removeprefix(PREFIX))
    if not folder.is_dir():
        if len(folder.parts) > 1:
            raise UsageError(f"encoder {name}: there is no folder {folder}")
        return
    for file in (_CONFIG, _CONVERTER):
        try:
            config = json.loads((folder / file).read_text())
        except (OSError, ValueError) as error:
            raise UsageError(
                f"encoder {name}: has no readable {file}: save the backbone and its image converter"
                " there with save_to_preset()"
            ) from error
        if not isinstance(config, dict) or "registered_name" not in config:
            raise UsageError(
                f"encoder {name}: its {file} is not of keras-hub: load it with keras-hub and save"
                " it with save_to_preset()"
            )
        model_file.refuse_foreign(config, name, ("keras", "keras_hub"))


def build(name: str, *, weights: bool) -> Network:
    """Build a backbone, with the weights of its preset or with any.

    What it gives are tokens without those that stand for no part of the picture, as a grid; or the
    last map of a CNN.

    Raises:
        UsageError: see `check`; or it cannot be fetched or loaded, or is not one of images.
    """
    check(name)
    import keras
    import keras_hub

    preset = name.removeprefix(PREFIX)
    try:
        backbone = keras_hub.models.Backbone.from_preset(preset, load_weights=weights)
        converter = keras_hub.layers.ImageConverter.from_preset(preset)
    except Exception as error:  # keras-hub raises what its many ways to fetch raise
        reason = " ".join(str(error).split())[:200]
        raise UsageError(
            f"encoder {name}: cannot be fetched or loaded ({reason}): give a name of"
            f" keras_hub.models.Backbone.presets, or {PREFIX} and the folder of a preset"
        ) from error
    # Those of images and text hold the half that sees.
    seeing = getattr(backbone, "vision_encoder", backbone)
    if len(seeing.inputs) != 1 or len(seeing.inputs[0].shape) != 4:
        raise UsageError(f"encoder {name}: is no image backbone: use one such as CLIP or ResNet")
    size = _size(seeing, converter)
    pixels = keras.Input((*size, 3), name="images")
    tokens = keras.Model(seeing.inputs[0], _features(seeing, name))(pixels)
    scale, offset = _rescaling(converter)
    layers = keras.layers
    model = keras.Model(pixels, _grid(tokens, size), name="hub")
    config = json.dumps(_plain(keras.saving.serialize_keras_object(seeing)), sort_keys=True)
    facts = json.dumps([config, scale, offset])
    architecture = f"keras_hub {hashlib.sha256(facts.encode()).hexdigest()}"
    return Network(model, architecture, layers.Rescaling(scale, offset, name="scale"))


def _features(model: "keras.Model", name: str) -> Any:
    """Return the last tokens [B, N, C] or map [B, rows, columns, C] in a backbone."""
    for layer in reversed(model.layers):
        output = layer.output
        if hasattr(output, "shape") and len(output.shape) in (3, 4):
            return output
    raise UsageError(f"encoder {name}: has neither tokens nor a map")


def _size(model: "keras.Model", converter: Any) -> tuple[int, int]:
    """Return the (height, width) of the pictures that a backbone was trained on."""
    height, width = model.inputs[0].shape[1:3]
    if height is None or width is None:
        height, width = converter.image_size or (224, 224)
    return height, width


def _rescaling(converter: Any) -> tuple[Any, Any]:
    """Return what 0..255 is multiplied by, and what is added, each a number or one a channel."""

    def plain(value: Any, absent: float) -> Any:
        if value is None:
            return absent
        return value if isinstance(value, int | float) else [float(each) for each in value]

    return plain(converter.scale, 1.0), plain(converter.offset, 0.0)


def _grid(tokens: Any, size: tuple[int, int]) -> Any:
    """Lay tokens out as the picture, without those before them, of the class and registers."""
    import keras

    if len(tokens.shape) == 4:
        return tokens
    _, count, channels = tokens.shape
    # The picture is cut into square patches.
    aspect = size[0] / size[1]
    columns = math.isqrt(int(count / aspect + 1e-6))
    rows = round(columns * aspect)
    patches = keras.layers.Cropping1D((count - rows * columns, 0), name="patches")(tokens)
    return keras.layers.Reshape((rows, columns, channels), name="grid")(patches)


def _plain(config: Any) -> Any:
    """Drop from a configuration what does not change what is computed, such as counted names."""
    if isinstance(config, dict):
        dropped = ("name", "trainable", "build_config", "compile_config", "shared_object_id")
        return {key: _plain(value) for key, value in config.items() if key not in dropped}
    return [_plain(value) for value in config] if isinstance(config, list | tuple) else config
