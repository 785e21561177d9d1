"""Paths that mean the same in every process of a job."""

from pathlib import Path

from transforms import files


def absolute(path: str) -> str:
    """Return a path that a worker in another folder finds as well."""
    return path if files.is_remote(path) else str(Path(path).expanduser().absolute())
