"""The cache: what is made of a captioner once, and used again by later commands."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from transforms import files


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
