"""What an output was made with, kept beside it, so that two configurations never mix."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.common import locks
from transforms import files
from transforms.errors import UsageError

NAME = "configuration.json"


def claim(output: str, configuration: dict[str, Any], overwrite: bool) -> None:
    """Take an output folder for a configuration, or find that it already is of that one.

    Args:
        output: the job's output.
        configuration: JSON-able; the `job`, and every flag that one output has one value of.
        overwrite: take the folder from another configuration of the same job.

    Raises:
        UsageError: see `check`.
        OSError: the store does not answer.
    """
    if not check(output, configuration, overwrite):
        files.write_json(files.join(output, NAME), configuration)


def check(output: str, configuration: dict[str, Any], overwrite: bool) -> bool:
    """Return whether an output folder is of a configuration already; one that it may take is not.

    Args:
        output: see `claim`.
        configuration: likewise.
        overwrite: likewise.

    Raises:
        UsageError: the folder holds the output of another configuration, or files that are
            not of this job.
        OSError: the store does not answer.
    """
    wanted = json.loads(json.dumps(configuration))
    content = files.read_if_there(files.join(output, NAME))
    if content is None:
        if any(True for _ in _existing(output)):
            raise UsageError(
                f"--output={output}: the folder has files that are not of this job, or has lost its"
                f" {NAME}; choose another or an empty one, or bring that file back"
            )
        return False
    held = _held(content)
    if held == wanted:
        return True
    if held.get("job") != wanted["job"]:
        raise UsageError(
            f"--output={output}: the folder holds the output of {held.get('job')};"
            " choose another folder"
        )
    if not overwrite:
        raise UsageError(
            f"--output={output}: it was made with another configuration"
            f" ({_differences(held, wanted)}); choose another folder, or replace it with"
            " --overwrite"
        )
    return False


def check_writable(output: str) -> None:
    """Check without writing that a run may write to an output, as far as that can be told.

    Buckets are not asked, and the superuser is refused by nothing but a read-only file system.

    Raises:
        UsageError: it may not.
    """
    if files.is_remote(output):
        return
    path = Path(output)
    there = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    if not there.is_dir():
        raise UsageError(f"--output={output}: {there} is no folder; choose another")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(
            f"--output={output}: {there} cannot be written to; choose another folder, or see to its"
            " permissions and its file system"
        )


def is_of(output: str, job: str) -> bool:
    """Whether a folder is claimed by a job, such as `caption`, with whatever configuration.

    Raises:
        OSError: the store does not answer.
    """
    content = files.read_if_there(files.join(output, NAME))
    return content is not None and _held(content).get("job") == f"pipeline.{job}"


def _held(content: bytes) -> dict[str, Any]:
    """Return what a claim says; nothing where it is damaged."""
    try:
        held = json.loads(content)
    except ValueError:
        return {}
    return held if isinstance(held, dict) else {}


def _existing(output: str) -> Iterator[str]:
    """Yield the files of an output, but for the lock of the run that asks."""
    if files.is_remote(output) or files.exists(output):
        # A folder that cannot be read, such as lost+found, is not written to either.
        for info in files.list_files(output, refused=lambda *_: None):
            name = info.path.rsplit("/", 1)[-1]
            if name != locks.NAME and not name.startswith(files.TEMPORARY_PREFIX):
                yield name


def _differences(held: dict[str, Any], wanted: dict[str, Any]) -> str:
    names = sorted({*held, *wanted})
    changed = [name for name in names if held.get(name) != wanted.get(name)]
    return ", ".join(f"{name} was {held.get(name)!r}, now {wanted.get(name)!r}" for name in changed)
