"""Checkpoints: one file of plain arrays, written whole or not at all."""

import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from transforms import files
from transforms.errors import UsageError

CHECKPOINT = "checkpoint.npz"
_STATE = "state"


def save(path: str, arrays: Mapping[str, np.ndarray], state: Mapping[str, Any]) -> None:
    """Write arrays and a JSON-able state as an uncompressed .npz."""
    if _STATE in arrays:
        raise ValueError(f"an array must not be called {_STATE!r}")
    text = np.frombuffer(json.dumps(state).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{_STATE: text}, **arrays)
    with files.atomic(path) as stream:
        stream.write(buffer.getvalue())


def load(path: str) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """Read what `save` wrote; None where there is no such file.

    Raises:
        UsageError: the file is damaged, or no checkpoint.
    """
    if not files.exists(path):
        return None
    try:
        with np.load(io.BytesIO(files.read_bytes(path)), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        state = json.loads(arrays.pop(_STATE).tobytes())
    except (ValueError, KeyError, EOFError, OSError, _bad_zip()) as error:
        raise UsageError(
            f"{path}: this checkpoint cannot be read ({error}): delete it to train from the start"
        ) from error
    return arrays, state


def _bad_zip() -> type[Exception]:
    import zipfile

    return zipfile.BadZipFile
