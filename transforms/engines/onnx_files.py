"""A captioner's parts as ONNX files: made from its SavedModel, kept with it or in a cache.

The engines that read them need neither TensorFlow nor its import of seconds.
"""

import contextlib
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from transforms import cache, captioner
from transforms.engines import canonical
from transforms.errors import UsageError

FOLDER = "onnx"
PARTS = captioner.PARTS
INT8 = "encode_int8.onnx"  # Takes the place of the encoder.
OPSET = 17
NEXT = "next_"  # Before the name of an output that is also an input's.
_CONVERSION = "2"  # Raised when `convert` makes something else of the same SavedModel.


def exported_with(manifest: Mapping[str, Any]) -> bool:
    """Whether a captioner has its ONNX files in its directory, by its manifest."""
    return all(f"{FOLDER}/{part}.onnx" in manifest["files"] for part in PARTS)


def int8_facts(folder: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a captioner's manifest says of the file of its int8 encoder.

    Raises:
        UsageError: it has no int8 encoder.
    """
    facts = manifest["files"].get(f"{FOLDER}/{INT8}")
    if facts is None:
        raise UsageError(
            f"{folder}: this captioner has no int8 encoder: make one that has with `python -m"
            f" trainer.quantize --captioner={folder} --images=photos --output=out/int8`"
        )
    return facts


def path(place: Path, part: str, precision: str) -> Path:
    """Return the file of a part, of those that `opened` yields."""
    return place / (INT8 if (part, precision) == ("encode", "int8") else f"{part}.onnx")


def available(folder: str) -> bool:
    """Whether a captioner has ONNX files, or can get them, which it then does."""
    try:
        with opened(folder):
            return True
    except (UsageError, OSError) as error:
        print(f"{folder}: {error}; TensorFlow runs it", file=sys.stderr)
        return False


@contextlib.contextmanager
def opened(folder: str) -> Iterator[Path]:
    """Give a captioner's ONNX files a place on a local disk.

    A captioner that was exported without them has them made at first use, in the cache.

    Args:
        folder: of the captioner, on a local disk or in a bucket.

    Yields:
        A folder with `encode.onnx`, `prepare.onnx` and `step.onnx`, and `encode_int8.onnx` where
        the captioner has one.

    Raises:
        UsageError: the directory is no finished captioner, a file is not the one that was
            exported, or tf2onnx is needed and not installed.
        OSError: the cache cannot be written.
    """
    manifest = captioner.read_manifest(folder)
    if exported_with(manifest):
        with captioner.local(folder, manifest, FOLDER) as place:
            yield place
        return
    place = cache_folder(captioner.digest(manifest))
    if not cache.filled(place):
        _fill(place, folder)
    yield place


def cache_folder(digest: str) -> Path:
    """Return where the files made of a captioner are kept, by the captioner's digest."""
    return cache.folder(f"{FOLDER}-{_CONVERSION}", digest)


def check_installed() -> None:
    """Raise UsageError where what makes ONNX files is absent."""
    if find_spec("tf2onnx") is None:
        raise UsageError(
            "making ONNX files takes tf2onnx, which is not installed: pip install -e '.[onnx]'"
        )


def convert(model: Any, folder: Path) -> None:
    """Write a captioner's parts as ONNX files.

    The same model gives the same bytes.

    Args:
        model: a loaded SavedModel, or what has its `signatures`.
        folder: an empty one.

    Raises:
        UsageError: tf2onnx is not installed, or ONNX lacks an operation of the captioner's.
    """
    check_installed()
    for part in PARTS:
        (folder / f"{part}.onnx").write_bytes(_convert(model.signatures[part], part))


def _fill(place: Path, folder: str) -> None:
    """Make the files beside their place and rename them; of two processes at once one wins."""
    print(f"{folder}: making ONNX files of it, once, in {place}", file=sys.stderr)
    with cache.filling(place) as fresh:
        convert(captioner.load_parts(folder), fresh)


def _convert(signature: Any, part: str) -> bytes:
    """Return one signature as an ONNX model whose inputs and outputs have its names."""
    import logging

    import onnx
    import tensorflow as tf
    import tf2onnx

    _, specs = signature.structured_input_signature
    inputs, outputs = sorted(specs), sorted(signature.structured_outputs)

    def call(*values: Any) -> list[Any]:
        results = signature(**dict(zip(inputs, values, strict=True)))
        # Named, for nothing else tells the results of a converted graph apart.
        return [tf.identity(results[name], name) for name in outputs]

    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    model, _ = tf2onnx.convert.from_function(
        tf.function(call, autograph=False), [specs[name] for name in inputs], opset=OPSET
    )
    graph = model.graph
    fresh = {value.name: name for value, name in zip(graph.input, inputs, strict=True)}
    # In a graph of ONNX no two values share a name.
    results = [f"{NEXT}{name}" if name in inputs else name for name in outputs]
    fresh |= {value.name: name for value, name in zip(graph.output, results, strict=True)}
    _rename(graph, fresh)
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        reason = " ".join(str(error).split())
        raise UsageError(
            f"this captioner cannot be made ONNX files of ({reason}): use --engine=tensorflow"
        ) from error
    canonical.rewrite(graph)
    return model.SerializeToString(deterministic=True)


def _rename(graph: Any, fresh: dict[str, str]) -> None:
    """Give values other names."""
    for values in (graph.input, graph.output):
        for value in values:
            value.name = fresh[value.name]
    for node in graph.node:
        node.input[:] = [fresh.get(name, name) for name in node.input]
        node.output[:] = [fresh.get(name, name) for name in node.output]
