"""Manifests: the file that makes a directory a dataset, a captioner or a captions table.

A manifest is written last and names every file of its directory with its size and digest, so
a reader opens the manifest, never a glob, and a directory without one is not finished.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterable
from typing import Any

from transforms import files
from transforms.errors import UsageError


def read(folder: str, name: str, kind: str, remedy: str) -> dict[str, Any]:
    """Read a directory's manifest and check that its files are there with their sizes.

    Args:
        folder: the directory.
        name: the manifest's file name, such as `dataset.json`.
        kind: the manifest's `format`, such as `beamcap.dataset`.
        remedy: what to do where there is none, for the message.

    Raises:
        UsageError: no manifest, one of another kind or version, or a file that it names is
            missing or of another size.
        OSError: the store does not answer.
    """
    path = files.join(folder, name)
    content = files.read_if_there(path)
    if content is None:
        raise UsageError(f"{folder}: there is no {name}: {remedy}")
    try:
        manifest = json.loads(content)
    except ValueError as error:
        raise UsageError(f"{path}: this is not JSON ({error}); {remedy}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != kind:
        raise UsageError(f"{path}: this is not a manifest of a {kind}; {remedy}")
    if manifest.get("version") != 1:
        raise UsageError(
            f"{path}: version {manifest.get('version')!r} is not 1, the one this program reads"
        )
    found = sizes(folder, manifest["files"])
    for file, facts in manifest["files"].items():
        size = found.get(files.join(folder, file))
        if size != facts["bytes"]:
            is_so = "is missing" if size is None else f"has {size} bytes"
            raise UsageError(f"{folder}: {file} {is_so}, should have {facts['bytes']}; {remedy}")
    return manifest


def sizes(folder: str, names: Iterable[str]) -> dict[str, int]:
    """Return the sizes of the named files that are there, by their paths."""
    if files.is_remote(folder):
        # One request, and not one for each file.
        return {info.path: info.size for info in files.list_files(folder)}
    # What else lies in the folder may not even be readable.
    found = {}
    for path in (files.join(folder, name) for name in names):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            found[path] = files.stat(path).size
    return found


def read_file(folder: str, manifest: dict[str, Any], name: str) -> bytes:
    """Return the content of a file that a manifest names.

    Raises:
        UsageError: it is not the one that the manifest names.
    """
    content = files.read_bytes(files.join(folder, name))
    if hashlib.sha256(content).hexdigest() != manifest["files"][name]["sha256"]:
        raise UsageError(f"{folder}: {name} is not the file that the manifest names")
    return content


def software() -> dict[str, str]:
    """Return the versions of what shapes a result, for a manifest."""
    import importlib.metadata as metadata
    import platform

    names = ["apache-beam", "keras", "numpy", "pillow", "pyarrow", "tensorflow", "tfx-bsl"]
    versions = {"python": platform.python_version(), "beamcap": metadata.version("beamcap")}
    return versions | {name: metadata.version(name) for name in names}
