"""Engines: what runs an exported captioner, all behind one interface."""

from transforms.engines.engine import Engine, Step
from transforms.errors import UsageError

__all__ = ["ENGINES", "Engine", "Step", "load"]

ENGINES = ("tensorflow",)


def load(folder: str, engine: str = "auto") -> Engine:
    """Load a captioner.

    Args:
        folder: of the captioner, on a local disk or in a bucket.
        engine: one of `ENGINES`, or `auto` for the fastest that is installed.

    Raises:
        UsageError: no such engine, no finished captioner, a file that is not the one that was
            exported, or one that an older version exported.
    """
    if engine not in ("auto", *ENGINES):
        raise UsageError(f"there is no engine {engine!r}: choose one of {', '.join(ENGINES)}")
    from transforms.engines.tensorflow_engine import TensorFlowEngine

    return TensorFlowEngine(folder)
