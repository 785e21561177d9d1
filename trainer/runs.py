"""Who owns an output folder: one training run, told by what decides its result."""

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from trainer import command_line
from trainer.configuration import DECODER, Configuration
from transforms import captioner, files
from transforms.captioner import MANIFEST
from transforms.dataset import Dataset
from transforms.errors import UsageError

WORKING = "training"  # Folder of checkpoint and logs, below the output.
RUN = "run.json"


def identity(
    configuration: Configuration, dataset: Dataset, captioners: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what decides a run's result, as JSON has it.

    Args:
        configuration: of the training.
        dataset: that is trained on.
        captioners: digests of the one that is begun with (`start_from`) and of those that are
            learned from (`teachers`), if there are any.
    """
    return {
        "configuration": configuration.to_dict(),
        **captioners,
        "vocabulary": dataset.text["digest"],
        "encoder": dataset.encoder,
        "dataset": dataset.digest,
    }


def decoder_settings(start: str, output: str) -> dict[str, Any]:
    """Return the settings of the decoder that a training begins with.

    Args:
        start: folder of the captioner whose weights it begins with; empty for drawn ones.
        output: the training's. Once it has begun, nobody asks the captioner any more.

    Raises:
        UsageError: there is no finished captioner.
    """
    if not start:
        return {}
    before: Any = None
    # What is damaged in it is said when it is claimed.
    with contextlib.suppress(ValueError, AttributeError):
        run = json.loads(files.read_if_there(files.join(output, WORKING, RUN)) or "{}")
        before = run.get("configuration")
    if not isinstance(before, dict) or before.get("start_from") != start:
        before = captioner.read_manifest(start)["configuration"]
    completed = Configuration.completed(before)
    return {name: completed[name] for name in DECODER}


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
    before = take(output, files.join(output, WORKING, RUN), run, "training here")
    if before is None:
        return False
    _compare(output, before, run)
    return finished(output)


def take(output: str, path: str, run: dict[str, Any], maker: str) -> dict[str, Any] | None:
    """Take a folder for a run, unless one has it already.

    Args:
        output: the folder.
        path: of the file in it that says whose it is.
        run: what the file is to say: among other things a `configuration`, in a dict.
        maker: what writes such folders, for an error.

    Returns:
        What the file says already; None where the folder was free, and is the run's now.

    Raises:
        UsageError: the folder holds files of something else, or its file is damaged.
    """
    content = files.read_if_there(path)
    if content is None:
        check_free(output, maker)
        files.write_json(path, run)
        return None
    try:
        before = json.loads(content)
    except ValueError as error:
        raise UsageError(f"{path}: this is not JSON ({error}): delete {output}") from error
    if not isinstance(before, dict) or not isinstance(before.get("configuration", {}), dict):
        raise UsageError(f"{path}: this says nothing of a run: delete {output}")
    return before


def check_free(output: str, maker: str) -> None:
    """Raise UsageError where a folder that is to be written to has files; see `take`."""
    if files.exists(output) and any(files.list_files(output)):
        raise UsageError(
            f"{output}: the folder holds files that no {maker} wrote: give an empty --output"
        )


def finished(output: str) -> bool:
    """Say whether a training has ended there."""
    return files.exists(files.join(output, MANIFEST))


def _compare(output: str, before: dict[str, Any], now: dict[str, Any]) -> None:
    remedy = "give another --output, or delete this one"
    flags = Configuration.completed(before.get("configuration", {}))
    for name, value in now["configuration"].items():
        if flags[name] != value:
            raise UsageError(
                f"{output}: this was trained with {command_line.flag(name, flags[name])}, not"
                f" {command_line.flag(name, value)}: {remedy}"
            )
    for part, verb in (("start_from", "began with"), ("teachers", "learned from")):
        digests = now.get(part)  # Of a finished training nobody asks any more.
        if digests and before.get(part, digests) != digests:
            raise UsageError(f"{output}: this {verb} another captioner in --{part}: {remedy}")
    for part in ("vocabulary", "encoder", "dataset"):
        if before.get(part) != now[part]:
            raise UsageError(f"{output}: this was trained with another {part}: {remedy}")
