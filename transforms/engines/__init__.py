"""Engines: what runs an exported captioner, all behind one interface."""

import hashlib
import importlib.metadata as metadata
import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from transforms import captioner
from transforms.engines import onnx_files
from transforms.engines.engine import Engine, Step
from transforms.errors import UsageError

__all__ = ["ENGINES", "PRECISIONS", "Engine", "Step", "describe", "digest", "load", "resolve"]

# The fastest on a CPU first, each with the extra that brings it.
ENGINES = {"openvino": "openvino", "onnxruntime": "onnx", "tensorflow": ""}
# Of the encoder's computations, each with the engines that can; the decoder's are float32 always.
PRECISIONS = {
    "fp32": tuple(ENGINES),
    "bf16": ("openvino",),
    "int8": ("openvino", "onnxruntime"),
}


def resolve(engine: str, folders: Sequence[str], precision: str = "fp32") -> str:
    """Decide what is to run a captioner, or several that work together.

    `auto` means TensorFlow where there is an NVIDIA GPU. Elsewhere it is the first of `ENGINES`
    that is installed, if the captioners have ONNX files or can get them, which they then do. In
    another precision than fp32 it is the first of `PRECISIONS` that is installed, GPU or not.

    Args:
        engine: one of `ENGINES`, or `auto`.
        folders: of the captioners.
        precision: one of `PRECISIONS`.

    Returns:
        One of `ENGINES`.

    Raises:
        UsageError: there is no such engine or precision, or it is not installed, or not for this
            engine or these captioners; or a directory is no finished captioner.
    """
    if precision not in PRECISIONS:
        known = ", ".join(PRECISIONS)
        raise UsageError(f"there is no precision {precision!r}: choose one of {known}")
    if precision != "fp32":
        engine = _resolve_reduced(engine, precision)
    if precision == "int8":
        for folder in folders:
            onnx_files.int8_facts(folder, captioner.read_manifest(folder))
    if engine == "auto":
        gpu = Path("/proc/driver/nvidia/version").exists()
        best = next(name for name in ENGINES if find_spec(name) is not None)
        others = not gpu and best != "tensorflow"
        return best if others and all(map(onnx_files.available, folders)) else "tensorflow"
    if engine not in ENGINES:
        raise UsageError(f"there is no engine {engine!r}: choose one of {', '.join(ENGINES)}")
    if find_spec(engine) is None:
        raise UsageError(
            f"the engine {engine} is not installed: pip install -e '.[{ENGINES[engine]}]'"
        )
    if precision == "bf16":
        for folder in folders:
            with onnx_files.opened(folder):  # Made here, or refused before any work.
                pass
    return engine


def _resolve_reduced(engine: str, precision: str) -> str:
    """Return an engine that can, in the place of `auto`."""
    able = PRECISIONS[precision]
    if engine == "auto":
        installed = [name for name in able if find_spec(name) is not None]
        return installed[0] if installed else able[0]
    if engine in ENGINES and engine not in able:
        raise UsageError(
            f"{precision} is not for the engine {engine}: leave out --engine, or give"
            f" {' or '.join(able)}"
        )
    return engine


def describe(engine: str, precision: str = "fp32") -> dict[str, str]:
    """Return what a manifest tells of an engine: its name, version and precision."""
    return {"name": engine, "version": metadata.version(engine), "precision": precision}


def digest(folder: str, manifest: Mapping[str, Any], precision: str = "fp32") -> str:
    """Return a hexadecimal sha256 of what decides a captioner's captions in a precision.

    In fp32 that is `transforms.captioner.digest`, whether it has an int8 encoder or not. In bf16
    it is another, for rounding changes some of the captions.

    Args:
        folder: of the captioner, for an error.
        manifest: its manifest.
        precision: one of `PRECISIONS`.

    Raises:
        UsageError: it has no int8 encoder, and is to use it.
    """
    whole = captioner.digest(manifest)
    if precision == "fp32":
        return whole
    encoder = (
        precision if precision == "bf16" else onnx_files.int8_facts(folder, manifest)["sha256"]
    )
    return hashlib.sha256(f"{whole} {encoder}".encode()).hexdigest()


def load(
    folder: str, engine: str = "auto", *, threads: int | None = None, precision: str = "fp32"
) -> Engine:
    """Load a captioner.

    Args:
        folder: of the captioner, on a local disk or in a bucket.
        engine: one of `ENGINES`, or `auto`; see `resolve`.
        threads: that one call uses; None for as many as there are cores. TensorFlow's are those
            of the whole process, which its first use decides.
        precision: one of `PRECISIONS`.

    Raises:
        UsageError: see `resolve`; no finished captioner, a file that is not
            the one that was exported, or one that an older version exported; bf16 on a processor
            that does not compute in it.
    """
    threads = threads or len(os.sched_getaffinity(0))
    engine = resolve(engine, [folder], precision)
    encoder = captioner.read_manifest(folder)["encoder"]
    # What a captioner's own part of the CNN computes was never stored in training.
    dtype = "float32" if "finetuned" in encoder else encoder.get("dtype", "float32")
    if engine == "openvino":
        from transforms.engines.openvino_engine import OpenVinoEngine

        return OpenVinoEngine(folder, threads, dtype, precision)
    if engine == "onnxruntime":
        from transforms.engines.onnxruntime_engine import OnnxRuntimeEngine

        return OnnxRuntimeEngine(folder, threads, dtype, precision)
    from transforms.engines.tensorflow_engine import TensorFlowEngine

    return TensorFlowEngine.load(folder, threads)
