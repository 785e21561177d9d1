"""The cache: what is made of a captioner once, and used again by later commands."""

import contextlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from transforms import files

# In a folder of the cache: the sizes of its files by their names, written last.
CONTENTS = "contents.json"


def folder(kind: str, digest: str) -> Path:
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

    A folder there that is not `filled` any more is replaced.

    Raises:
        OSError: the cache cannot be written; the message says what to set.
    """
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=files.TEMPORARY_PREFIX, dir=place.parent))
    except OSError as error:
        raise OSError(
            f"{place.parent}: the cache cannot be written ({error.strerror}): set BEAMCAP_CACHE"
            " to a folder that can"
        ) from error
    fresh = temporary / "fresh"
    fresh.mkdir(mode=stat.S_IRWXU)
    try:
        yield fresh
        _seal(fresh)
        with contextlib.suppress(OSError):  # Another process was here first.
            if place.exists() and not filled(place):
                place.rename(temporary / "broken")
            fresh.rename(place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    if not filled(place):
        raise OSError(f"{place} cannot be written")


def filled(place: Path) -> bool:
    """Whether a folder of the cache has every file that it was filled with, of the same size."""
    try:
        sizes = json.loads((place / CONTENTS).read_bytes())
        return all((place / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError):  # Not there, or not what was written.
        return False


def _seal(folder: Path) -> None:
    """Write a folder's files to the disk, then the list of them."""
    sizes = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
        sizes[path.relative_to(folder).as_posix()] = path.stat().st_size
    files.write_json(str(folder / CONTENTS), sizes)
