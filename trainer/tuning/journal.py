"""What a search has done so far, in one JSON file that is whole at any time."""

import dataclasses
import json
from typing import Any

from trainer import runs
from trainer.configuration import Configuration
from transforms import files
from transforms.errors import UsageError

FILE = "trials.json"
COMPLETE, PRUNED, REFUSED, RUNNING = "complete", "pruned", "refused", "running"


@dataclasses.dataclass
class Trial:
    """One configuration, and how it did.

    Attributes:
        number: from 0.
        choices: what the search chose, as it names it: places in lists, numbers in ranges.
        settings: the fields of the configuration, as JSON has them.
        state: complete, pruned (given up in the middle), refused (flags that do not go
            together, or a training that failed), or running, when the search was killed.
        folds: for each finished fold its `best` CIDEr-D, `epoch`, `seconds`, and `epochs`, the
            scores after each epoch.
        reports: what the search was told after each epoch, as [step, value].
        value: mean of the folds' best scores; of a pruned one what it had reached.
        spread: standard deviation over the folds.
        parameters: weights of the model.
        message: why it was refused.
    """

    number: int
    choices: dict[str, Any]
    settings: dict[str, Any]
    state: str = RUNNING
    folds: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    reports: list[list[float]] = dataclasses.field(default_factory=list)
    value: float | None = None
    spread: float | None = None
    parameters: int | None = None
    message: str = ""

    @property
    def seconds(self) -> float:
        """Time of the finished folds."""
        return sum(fold["seconds"] for fold in self.folds)


class Journal:
    """The trials of one search, kept in `trials.json`."""

    def __init__(self, folder: str, identity: dict[str, Any]) -> None:
        """Open a journal, or begin one.

        Args:
            folder: of the search.
            identity: what decides its outcome; a folder belongs to one identity. `base` in it
                has fields of a `Configuration`.

        Raises:
            UsageError: the folder belongs to another search, or to something else.
        """
        self._path = files.join(folder, FILE)
        # As it will be read again: with lists for tuples.
        identity = self._identity = json.loads(json.dumps(identity))
        self.trials: list[Trial] = []
        if not files.exists(self._path):
            runs.check_free(folder, "search")
            self.save()
            return
        try:
            content = json.loads(files.read_bytes(self._path))
            before = content["search"]
            self.trials = [Trial(**trial) for trial in content["trials"]]
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{self._path}: this is no journal of a search ({error})") from error
        whole = Configuration.completed(before.get("base", {}))
        before["base"] = {name: whole[name] for name in identity["base"]}
        for name, value in identity.items():
            held = before.get(name, "that of an older version")
            if held != value:
                raise UsageError(
                    f"{folder}: this belongs to a search with another {name} ({held}, not {value}):"
                    " give another --output, or delete this one"
                )

    def save(self) -> None:
        """Write the file."""
        content = {
            "format": "beamcap.trials",
            "version": 1,
            "search": self._identity,
            "trials": [dataclasses.asdict(trial) for trial in self.trials],
        }
        files.write_json(self._path, content)
