"""Captioners small enough to be shipped: a SavedModel's graph, and its weights as float16.

What an encoder's package has already is not stored again. At first use the whole SavedModel is put
together in the cache, and everything else works from there.
"""

import contextlib
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from transforms import encoders, files
from transforms.encoders import Encoder

WEIGHTS = "weights.npz"
GRAPH, VARIABLES = "saved_model.pb", "variables/variables"  # In the folder of a SavedModel.
SHIPPED = Path(__file__).parent / "shipped"


def shipped(language: str, *, fast: bool = False) -> str | None:
    """Return the folder of a captioner that is part of the package, if there is one.

    Args:
        language: of its captions, `en` or `zh`.
        fast: take the fastest of that language, and not the one with the best captions.
    """
    names = [f"{language}-fast", language] if fast else [language]
    for folder in (SHIPPED / name for name in names):
        if (folder / "captioner.json").exists():
            return str(folder)
    return None


def cache(kind: str, digest: str) -> Path:
    """Return where something made of a captioner is kept.

    The environment variable BEAMCAP_CACHE says where caches are, else XDG_CACHE_HOME, else it
    is `.cache` in the home directory.

    Args:
        kind: of what is kept, with its version.
        digest: of the captioner.
    """
    user = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    root = os.environ.get("BEAMCAP_CACHE") or files.join(user, "beamcap")
    return Path(root) / kind / digest


@contextlib.contextmanager
def filling(place: Path) -> Iterator[Path]:
    """Yield an empty folder that takes its place at the end; of two processes at once one wins.

    Raises:
        OSError: the cache cannot be written.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=files.TEMPORARY_PREFIX, dir=place.parent))
    try:
        yield fresh
        with contextlib.suppress(OSError):  # Another process was here first.
            fresh.rename(place)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    if not place.exists():
        raise OSError(f"{place} cannot be written")


def load_encoder(manifest: dict[str, Any]) -> Encoder | None:
    """Load the encoder that a captioner's features come from; None where it has its own.

    Raises:
        UsageError: it is not installed, or is another than the captioner was made with.
    """
    facts = manifest["encoder"]
    if facts["name"] == "none":
        return None
    if facts["weights"] != "none" or "seed" in facts:
        return encoders.load_same(facts, facts.get("seed", 0), "the captioner")
    # Older captioners with a random encoder tell their own seed only, which was often the same.
    seed = manifest["provenance"]["seed"]
    remedy = (
        f"its weights are random, not of the seed {seed}, and captioner.json does not tell the"
        " right one: write the --seed of its preprocessing there, as `seed` into `encoder`"
    )
    return encoders.load_same(facts, seed, "the captioner", remedy)


def pack(saved_model: Path, encoder: Encoder | None) -> tuple[list[dict[str, Any]], bytes]:
    """Make a compact form of a SavedModel.

    Args:
        saved_model: its folder.
        encoder: what need not be stored.

    Returns:
        For the manifest, where each tensor of the checkpoint is: its `name`, and the number of its
        array in the file or of the encoder's variable; and the file's content.
    """
    import tensorflow as tf

    known: dict[tuple[Any, bytes], int] = {}
    for number, variable in enumerate(encoder.model.variables if encoder else []):
        value = variable.value.numpy()
        known.setdefault((value.shape, value.tobytes()), number)
    reader = tf.train.load_checkpoint(str(saved_model / VARIABLES))
    tensors: list[dict[str, Any]] = []
    arrays: list[np.ndarray] = []
    for name in sorted(reader.get_variable_to_shape_map()):
        value = reader.get_tensor(name)
        if isinstance(value, bytes):  # The graph of objects.
            value = np.frombuffer(value, np.uint8)
        elif value.ndim and (value.shape, value.tobytes()) in known:
            tensors.append({"name": name, "encoder": known[value.shape, value.tobytes()]})
            continue
        elif value.dtype == np.float32 and value.ndim > 1:
            value = value.astype(np.float16)
        tensors.append({"name": name, "array": len(arrays)})
        arrays.append(value)
    stream = io.BytesIO()
    graph = np.frombuffer((saved_model / GRAPH).read_bytes(), np.uint8)
    np.savez_compressed(stream, *arrays, graph=graph)
    return tensors, stream.getvalue()


def unpack(weights: bytes, manifest: dict[str, Any], place: Path) -> None:
    """Write the SavedModel that `pack` read, its matrices rounded to float16.

    What an older version packed has no graph, which is beside it in the captioner.

    Args:
        weights: the content of the captioner's file of weights.
        manifest: its manifest.
        place: an empty folder.

    Raises:
        UsageError: the encoder is missing or another.
    """
    import tensorflow as tf

    encoder = load_encoder(manifest)
    names, values = [], []
    with np.load(io.BytesIO(weights), allow_pickle=False) as arrays:
        if "graph" in arrays:
            (place / GRAPH).write_bytes(arrays["graph"].tobytes())
        for tensor in manifest["compact"]:
            names.append(tensor["name"])
            if "encoder" in tensor:
                assert encoder is not None
                values.append(encoder.model.variables[tensor["encoder"]].value)
                continue
            array = arrays[f"arr_{tensor['array']}"]
            if array.dtype == np.uint8:
                values.append(tf.constant(array.tobytes()))
            else:
                single = array.dtype == np.float16
                values.append(tf.constant(array.astype(np.float32) if single else array))
    (place / VARIABLES).parent.mkdir()
    tf.raw_ops.SaveV2(
        prefix=str(place / VARIABLES),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=values,
    )
