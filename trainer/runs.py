"""Who owns an output folder: one training run, told by what decides its result."""

import json
from typing import Any

from trainer.configuration import Configuration
from transforms import files
from transforms.captioner import MANIFEST
from transforms.dataset import Dataset
from transforms.errors import UsageError

WORKING = "training"  # Folder of checkpoint and logs, below the output.
RUN = "run.json"


def identity(configuration: Configuration, dataset: Dataset) -> dict[str, Any]:
    """Return what decides a run's result, as JSON has it."""
    return {
        "configuration": configuration.to_dict(),
        "vocabulary": dataset.text["digest"],
        "encoder": dataset.encoder,
        "dataset": dataset.digest,
    }


def claim(output: str, run: dict[str, Any]) -> bool:
    """Take an output folder for a run, new or continued.

    Args:
        output: the captioner's folder.
        run: the run's `identity`.

    Returns:
        Whether the run has already finished there.

    Raises:
        UsageError: the folder belongs to another run, or to something else.
    """
    path = files.join(output, WORKING, RUN)
    if files.exists(path):
        try:
            _compare(output, json.loads(files.read_bytes(path)), run)
        except ValueError as error:
            raise UsageError(f"{path}: this is not JSON ({error}): delete {output}") from error
        return finished(output)
    if files.exists(output) and next(iter(files.list_files(output)), None) is not None:
        raise UsageError(
            f"{output}: the folder holds files that no training here wrote: give an empty --output"
        )
    files.write_json(path, run)
    return False


def finished(output: str) -> bool:
    """Say whether a training has ended there."""
    return files.exists(files.join(output, MANIFEST))


def _compare(output: str, before: dict[str, Any], now: dict[str, Any]) -> None:
    remedy = "give another --output, or delete this one"
    flags = Configuration.completed(before.get("configuration", {}))
    for name, value in now["configuration"].items():
        if flags[name] != value:
            raise UsageError(
                f"{output}: this was trained with --{name}={flags[name]}, not {value}: {remedy}"
            )
    for part in ("vocabulary", "encoder", "dataset"):
        if before.get(part) != now[part]:
            raise UsageError(f"{output}: this was trained with another {part}: {remedy}")
