"""Train a captioner on a data set.

    python -m trainer.task --dataset=dataset --output=captioner

The same command continues a training that was killed, to the same result.
"""

import argparse
import math
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trainer import configuration, presets, runs
from transforms import commandline, files
from transforms.commandline import Exit
from transforms.dataset import Dataset, open_dataset
from transforms.errors import UsageError

if TYPE_CHECKING:
    from trainer.fit import Fitted

WEIGHTS = "weights.weights.h5"
VOCABULARY = "vocabulary.txt"
HISTORY = "history.json"


def _minutes(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def parser() -> commandline.Parser:
    """Return the command line of the trainer."""
    result = commandline.Parser(
        prog="python -m trainer.task", description="Train a captioner on a data set."
    )
    result.add_argument("--dataset", required=True, help="folder that preprocessing wrote")
    result.add_argument("--output", required=True, help="folder of the captioner to write")
    result.add_argument(
        "--preset",
        choices=sorted(presets.PRESETS),
        default="attention-lstm",
        help="recipe whose values hold where a flag is not given",
    )
    result.add_argument(
        "--max_minutes", type=_minutes, help="train no epoch that would end after these minutes"
    )
    configuration.add_flags(result)
    return result


def main(argv: Sequence[str] | None = None) -> Exit:
    """Run the command.

    Raises:
        UsageError: wrong flags or input, before work starts.
    """
    explicit = vars(commandline.parse_strictly(parser(), argv))
    source, output = explicit.pop("dataset"), explicit.pop("output").rstrip("/")
    preset, max_minutes = explicit.pop("preset"), explicit.pop("max_minutes")
    resolved = presets.resolve(preset, explicit)
    dataset = open_dataset(source)
    resolved.check(dataset.feature_shape)
    check_splits(dataset)
    if runs.claim(output, runs.identity(resolved, dataset)):
        print(f"{output}: already trained", file=sys.stderr)
        return Exit.DONE

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from trainer.fit import fit

    fitted = fit(dataset, resolved, files.join(output, runs.WORKING), max_minutes)
    store(output, dataset, fitted)
    print(f"{output}: dev CIDEr {fitted.state.best_score:.4f}", file=sys.stderr)
    return Exit.DONE


def check_splits(dataset: Dataset) -> None:
    """Raise UsageError where there is nothing to train on or to select by."""
    for split in ("train", "dev"):
        if not dataset.images(split):
            raise UsageError(
                f"{dataset.folder}: the split {split} has no images, and training needs them:"
                " preprocess more images, or other lists of the splits"
            )


def store(output: str, dataset: Dataset, fitted: "Fitted") -> dict[str, dict[str, int | str]]:
    """Write a captioner's weights, vocabulary and history.

    Returns:
        Size and digest of each file, as the manifest records them.
    """
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / WEIGHTS
        fitted.captioner.save_weights(weights)
        content = weights.read_bytes()
    history = {"best_epoch": fitted.state.best_epoch, "epochs": fitted.state.history}
    return {
        WEIGHTS: files.write_bytes(files.join(output, WEIGHTS), content),
        VOCABULARY: files.write_bytes(
            files.join(output, VOCABULARY), dataset.vocabulary.to_text().encode()
        ),
        HISTORY: files.write_json(files.join(output, HISTORY), history),
    }


if __name__ == "__main__":
    commandline.run(main)
