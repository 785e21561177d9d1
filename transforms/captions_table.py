"""Reading a captions table that `pipeline.caption` wrote.

Every run that changes a table makes a new generation of it: a manifest that names files which
are never changed. `captions.json` is the manifest of the newest one, `generations/<n>.json` are
those that are kept. A reader who has a manifest sees that generation, whole, whatever runs.
"""

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from transforms import files, manifests
from transforms.errors import UsageError

MANIFEST = "captions.json"
FORMAT = "beamcap.captions"
_GENERATION = re.compile(r"(\d+)\.json")
REMEDY = "make the table with `python -m pipeline.caption`"


def manifest_name(generation: int | None = None) -> str:
    """Return the file name of a generation's manifest; None is the newest generation."""
    return MANIFEST if generation is None else f"generations/{generation}.json"


def read_manifest(folder: str, generation: int | None = None) -> dict[str, Any]:
    """Return the manifest of a table; raises UsageError where the folder is no finished one."""
    return manifests.read(folder, manifest_name(generation), FORMAT, REMEDY)


def newest(folder: str) -> dict[str, Any] | None:
    """Return the newest manifest, its files unchecked; None where there is no table yet.

    Raises:
        UsageError: what stands in the manifest's place is none.
    """
    path = files.join(folder, MANIFEST)
    content = files.read_if_there(path)
    if content is None:
        return None
    try:
        manifest = json.loads(content)
    except ValueError as error:
        raise UsageError(
            f"{path}: this is not JSON ({error}); copy the newest of generations/ over it, or begin"
            " the table anew with --overwrite"
        ) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise UsageError(f"{path}: this is not a manifest of a {FORMAT}; choose another folder")
    return manifest


def kept(folder: str) -> list[int]:
    """Return the numbers of the generations of a table that are kept, the oldest first."""
    first = files.join(folder, "generations", "")
    names = []
    # Before a first run there is no folder yet.
    with contextlib.suppress(FileNotFoundError):
        for info in files.list_files(folder, lambda path: f"{path}/" == first):
            names.append(info.path.removeprefix(first))
    return sorted(int(match[1]) for name in names if (match := _GENERATION.fullmatch(name)))


def rows(folder: str, generation: int | None = None) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table: key, uri, sha256, width, height, caption, score, alternatives.

    Args:
        folder: of the table.
        generation: an older one, if it is still there; None is the newest.

    Raises:
        UsageError: the folder is no finished table.
    """
    for file in read_manifest(folder, generation)["data"]:
        with files.open_read(files.join(folder, file)) as stream:
            yield from read_rows(stream)


def read_rows(stream: BinaryIO) -> list[dict[str, Any]]:
    """Return the rows of one file of a table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    # From memory: Arrow's threads would let go of a Python file late, even as the program ends.
    return pq.read_table(pa.BufferReader(stream.read())).to_pylist()
