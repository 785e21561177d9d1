"""Cutting a network in two: a lower half, run once per image, and a rest that can be fine-tuned.

A cut is a layer whose output is all that the layers above it see. The two halves share the layers
of the network they were cut from, and therefore compute together what it computes.
"""

import json
import re
from collections import Counter
from typing import TYPE_CHECKING

from transforms.errors import UsageError

if TYPE_CHECKING:
    import keras

# What ends a block of EfficientNet-Lite; a block with a shortcut ends with its addition.
_BLOCK_END = re.compile(r"blocks_(\d+)_(?:add|project_conv)")


def split(cnn: "keras.Model", cut: str, encoder: str) -> tuple["keras.Model", "keras.Model"]:
    """Return the halves of a network, from its input to a cut and from there to its output.

    Args:
        cnn: the network, with one input and one output.
        cut: a layer's name, or `block0`, `block1` ... of EfficientNet-Lite.
        encoder: the network's name for the message.

    Raises:
        UsageError: no such cut; the message has all there are.
    """
    import keras

    known = _cuts(cnn)
    if cut not in known:
        choice = ", ".join(["grid", "pooled", *known])
        raise UsageError(f"encoder {encoder}: has no features {cut!r}: use {choice}")
    middle = cnn.get_layer(known[cut]).output
    lower = keras.Model(cnn.inputs[0], middle, name=f"{cnn.name}_to_{cut}")
    return lower, keras.Model(middle, cnn.outputs[0], name=f"{cnn.name}_from_{cut}")


def _cuts(cnn: "keras.Model") -> dict[str, str]:
    """Return the layers by the names of their cuts, from the input upwards."""
    layers = _bottlenecks(cnn)
    blocks = {f"block{match[1]}": layer for layer in layers if (match := _BLOCK_END.match(layer))}
    return blocks or {layer: layer for layer in layers}


def _bottlenecks(cnn: "keras.Model") -> list[str]:
    """Return the layers through which all goes that leads from the input to the output.

    Those are the layers behind which, in an order that puts every layer behind its inputs, no
    other layer's output is still waited for. Layers that Keras named by counting are left out:
    their names change from process to process.
    """
    config = cnn.get_config()
    named = {layer.name for layer in cnn.layers if not _is_counted(layer)}
    inputs = {layer["name"]: _inputs(layer["inbound_nodes"]) for layer in config["layers"]}
    waiting = sum(inputs.values(), Counter())
    pending: set[str] = set()
    found = []
    for layer in config["layers"]:
        name, calls = layer["name"], len(layer["inbound_nodes"])
        waiting -= inputs[name]
        pending = {other for other in pending if waiting[other]} | {name}
        # Not the input, which has no calls, nor a layer called twice, nor the last one.
        if pending == {name} and calls == 1 and waiting[name] and name in named:
            found.append(name)
    return found


def _inputs(nodes: list[object]) -> Counter[str]:
    """Count the layers whose outputs a layer takes, from its serialised calls."""
    history = re.findall(r'"keras_history": \["([^"]+)"', json.dumps(nodes))
    return Counter(history)


def _is_counted(layer: "keras.layers.Layer") -> bool:
    """Return whether a layer has a name such as `conv2d_7`."""
    kind = re.sub(r"\W|_", "", type(layer).__name__).lower()
    return re.sub(r"(_\d+)?$", "", layer.name).replace("_", "") == kind
