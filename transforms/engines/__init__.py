"""Engines: what runs an exported captioner, all behind one interface."""

import importlib.metadata as metadata
import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from transforms import captioner
from transforms.engines import onnx_files
from transforms.engines.engine import Engine, Step
from transforms.errors import UsageError

__all__ = ["ENGINES", "Engine", "Step", "describe", "load", "resolve"]

# The fastest on a CPU first, each with the extra that brings it.
ENGINES = {"openvino": "openvino", "onnxruntime": "onnx", "tensorflow": ""}


def resolve(engine: str, folders: Sequence[str]) -> str:
    """Decide what is to run a captioner, or several that work together.

    `auto` means TensorFlow where there is an NVIDIA GPU. Elsewhere it is the first of `ENGINES`
    that is installed, if the captioners have ONNX files or can get them, which they then do.

    Args:
        engine: one of `ENGINES`, or `auto`.
        folders: of the captioners.

    Returns:
        One of `ENGINES`.

    Raises:
        UsageError: there is no such engine, or it is not installed; or the directory is no
            finished captioner.
    """
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
    return engine


def describe(engine: str) -> dict[str, str]:
    """Return what a manifest tells of an engine: its name, version and precision."""
    return {"name": engine, "version": metadata.version(engine), "precision": "fp32"}


def load(folder: str, engine: str = "auto", *, threads: int | None = None) -> Engine:
    """Load a captioner.

    Args:
        folder: of the captioner, on a local disk or in a bucket.
        engine: one of `ENGINES`, or `auto`; see `resolve`.
        threads: that one call uses; None for as many as there are cores. TensorFlow's are those
            of the whole process, which its first use decides.

    Raises:
        UsageError: no such engine, or not installed; no finished captioner, a file that is not
            the one that was exported, or one that an older version exported.
    """
    threads = threads or len(os.sched_getaffinity(0))
    engine = resolve(engine, [folder])
    encoder = captioner.read_manifest(folder)["encoder"]
    # What a captioner's own part of the CNN computes was never stored in training.
    dtype = "float32" if "finetuned" in encoder else encoder.get("dtype", "float32")
    if engine == "openvino":
        from transforms.engines.openvino_engine import OpenVinoEngine

        return OpenVinoEngine(folder, threads, dtype)
    if engine == "onnxruntime":
        from transforms.engines.onnxruntime_engine import OnnxRuntimeEngine

        return OnnxRuntimeEngine(folder, threads, dtype)
    from transforms.engines.tensorflow_engine import TensorFlowEngine

    return TensorFlowEngine(folder)
