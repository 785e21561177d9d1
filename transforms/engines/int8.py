"""Int8 encoders: quantised after training, in one ONNX file that every engine for CPUs reads.

Weights and activations become 8-bit integers with scales (Jacob et al., 2018,
https://arxiv.org/abs/1712.05877): a scale for each output channel of the weights, one for each
activation, from the least to the greatest value that the calibration pictures give it. ONNX has
them as pairs of QuantizeLinear and DequantizeLinear, which ONNX Runtime and OpenVINO fuse.

Rounded weights move the mean of what a layer computes, and layers with few weights, as depthwise
convolutions, move it far. Biases take that back, measured layer after layer with all before it
corrected (Nagel et al., 2019, https://arxiv.org/abs/1906.04721, section 4.2, by examples).
"""

import contextlib
import logging
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from transforms.engines import canonical
from transforms.errors import UsageError

# What is worth it: where an encoder's time is, and what these are fused with.
OPERATIONS = ("Conv", "Gemm", "MatMul", "Clip", "Relu")
CORRECTING = 24  # Pictures that biases are corrected with.
_BATCH = 8
_SECONDS_BETWEEN_LINES = 10.0


class Fidelity(NamedTuple):
    """How alike the features of an int8 encoder are to those of the one it was made of.

    Attributes:
        mean: cosine of a picture's two feature maps, the mean over pictures.
        least: likewise, the least.
    """

    mean: float
    least: float


class _Layer(NamedTuple):
    """A layer whose bias can be corrected.

    Attributes:
        output: name of what it computes in the quantised graph.
        original: likewise in the other one.
        bias: name of the initialiser.
        scale: float32 scalar or [C], what one of its integers stands for.
    """

    output: str
    original: str
    bias: str
    scale: np.ndarray


def check_installed() -> None:
    """Raise UsageError where the packages that quantising takes are absent."""
    for name in ("onnx", "onnxruntime"):
        if find_spec(name) is None:
            raise UsageError(
                f"making int8 encoders takes {name}, which is not installed: pip install -e"
                " '.[onnx]'"
            )


def quantise(source: Path, target: Path, pictures: np.ndarray) -> None:
    """Write an int8 encoder.

    The same encoder and pictures give the same bytes.

    Args:
        source: the encoder's ONNX file, from uint8 `pixels` to float32 `features`.
        target: the ONNX file to write.
        pictures: to calibrate with, uint8 [N, height, width, 3], N at least 1.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder, _quiet():
        prepared, plain = Path(folder, "prepared.onnx"), Path(folder, "plain.onnx")
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            plain,
            _Reader(pictures),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(OPERATIONS),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            # Of eight bits the sums of pairs overflow on processors without VNNI.
            reduce_range=True,
            # Of attention's products neither side is a weight.
            extra_options={"MatMulConstBOnly": True},
        )
        original, model = onnx.load(str(prepared)), onnx.load(str(plain))
        _correct(original, model, pictures[:: -(-len(pictures) // CORRECTING)])
    canonical.rewrite(model.graph)
    target.write_bytes(model.SerializeToString(deterministic=True))


def fidelity(source: Path, target: Path, pictures: np.ndarray) -> Fidelity:
    """Compare two encoders.

    Args:
        source: ONNX file of one.
        target: of the other.
        pictures: uint8 [N, height, width, 3], N at least 1.
    """
    one, other = _session(source.read_bytes()), _session(target.read_bytes())
    cosines: list[float] = []
    for batch in _batches(pictures):
        a, b = (
            each.run(["features"], {"pixels": batch})[0].reshape(len(batch), -1).astype(np.float64)
            for each in (one, other)
        )
        lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        # Of two maps of zeros nothing is lost.
        alike = np.where(lengths > 0, (a * b).sum(axis=1) / np.maximum(lengths, 1e-30), 1.0)
        cosines += alike.tolist()
    return Fidelity(round(float(np.mean(cosines)), 4), round(min(cosines), 4))


class _Reader:
    """Pictures one by one, as ONNX Runtime asks for them."""

    def __init__(self, pictures: np.ndarray) -> None:
        self._pictures = iter(pictures)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the inputs of the next picture; None after the last."""
        picture = next(self._pictures, None)
        return None if picture is None else {"pixels": picture[None]}


def _correct(original: Any, model: Any, pictures: np.ndarray) -> None:
    """Correct the biases of a quantised model, in the order of its layers."""
    from onnx import numpy_helper

    layers = _layers(original, model)
    if not layers:
        return
    wanted = _means(original, [layer.original for layer in layers], pictures)
    initializers = {each.name: each for each in model.graph.initializer}
    start = said = time.monotonic()
    for number, (layer, mean) in enumerate(zip(layers, wanted, strict=True)):
        (found,) = _means(model, [layer.output], pictures)
        tensor = initializers[layer.bias]
        steps = np.rint((mean - found).astype(np.float64) / layer.scale).astype(np.int64)
        limits = np.iinfo(np.int32)
        bias = np.clip(numpy_helper.to_array(tensor) + steps, limits.min, limits.max)
        tensor.CopyFrom(numpy_helper.from_array(bias.astype(np.int32), layer.bias))
        now = time.monotonic()
        if now - said > _SECONDS_BETWEEN_LINES:
            said, left = now, (now - start) / (number + 1) * (len(layers) - number - 1)
            print(
                f"corrected {number + 1} of {len(layers)} layers, about {left:.0f} s left",
                file=sys.stderr,
            )


def _layers(original: Any, model: Any) -> list[_Layer]:
    """Return the layers of a quantised model that have a bias of their own, in order."""
    from onnx import numpy_helper

    before = {node.name: node.output[0] for node in original.graph.node}
    values = {each.name: each for each in model.graph.initializer}
    made = {name: node for node in model.graph.node for name in node.output}
    used: dict[str, int] = {}
    for node in model.graph.node:
        for name in node.input:
            used[name] = used.get(name, 0) + 1
    layers = []
    for node in model.graph.node:
        if node.op_type not in ("Conv", "Gemm") or len(node.input) < 3 or node.name not in before:
            continue
        bias = made.get(node.input[2])
        if bias is None or bias.op_type != "DequantizeLinear" or bias.input[0] not in values:
            continue
        if used[node.input[2]] == used[bias.input[0]] == 1:
            scale = numpy_helper.to_array(values[bias.input[1]]).astype(np.float64)
            layers.append(_Layer(node.output[0], before[node.name], bias.input[0], scale))
    return layers


def _means(model: Any, names: list[str], pictures: np.ndarray) -> list[np.ndarray]:
    """Return the means of values over pictures and places, float64 [C] each."""
    import onnx

    last = max(
        (n for n, node in enumerate(model.graph.node) if set(node.output) & set(names)), default=-1
    )
    # Nodes are in an order in which they can run.
    needed = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    needed.graph.name = model.graph.name
    needed.graph.input.extend(model.graph.input)
    needed.graph.node.extend(model.graph.node[: last + 1])
    read = {name for node in needed.graph.node for name in node.input}
    needed.graph.initializer.extend(i for i in model.graph.initializer if i.name in read)
    unknown = onnx.TensorProto.FLOAT
    needed.graph.output.extend(onnx.helper.make_tensor_value_info(n, unknown, None) for n in names)
    session = _session(needed.SerializeToString(), fused=False)
    totals = [np.zeros(()) for _ in names]
    for batch in _batches(pictures):
        for place, value in enumerate(session.run(names, {"pixels": batch})):
            others = tuple(axis for axis in range(value.ndim) if axis != 1)
            totals[place] = totals[place] + value.mean(axis=others, dtype=np.float64) * len(batch)
    return [total / len(pictures) for total in totals]


def _session(model: bytes, *, fused: bool = True) -> Any:
    """Load a model; without fusion it has the values between its nodes."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not fused:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _batches(pictures: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(pictures), _BATCH):
        yield pictures[start : start + _BATCH]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep advice to prepare the model, which has been followed, from the root logger."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(before)
