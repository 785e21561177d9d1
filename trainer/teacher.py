"""Captioners that were trained before, as models that others learn from."""

import sys
from collections.abc import Mapping
from typing import Any

from trainer import finetuning
from trainer.configuration import Configuration
from trainer.distribution import Replicas
from trainer.model import Captioner
from transforms import captioner, stored
from transforms.dataset import Dataset
from transforms.errors import UsageError


class Teacher:
    """A trained captioner.

    Attributes:
        manifest: content of its `captioner.json`.
        configuration: how it was trained.
        model: with its weights.
        vocabulary: its words.
    """

    def __init__(self, folder: str, dataset: Dataset, replicas: Replicas | None = None) -> None:
        """Load a captioner to run on a data set's features.

        Args:
            folder: of the captioner, on a local disk or in a bucket.
            dataset: with the images that it is to see.
            replicas: in whose scope its model is made; by default there is one.

        Raises:
            UsageError: see `checked_manifest` and `finetuning.load_rest`; or a file of the
                captioner is not the one that was exported.
        """
        self.manifest: dict[str, Any] = checked_manifest(folder, dataset)
        self.configuration = Configuration.from_dict(self.manifest["configuration"])
        self.vocabulary = captioner.read_vocabulary(folder)
        words = len(self.vocabulary)
        with (replicas or Replicas()).scope():
            rest = finetuning.load_rest(dataset)
            self.model = Captioner(self.configuration, words, dataset.feature_shape, rest)
        # Those of a CNN's upper blocks among them, as they learned.
        variables = self.model.variables
        weights = captioner.load_weights(folder, len(variables))
        for variable, value in zip(variables, weights, strict=True):
            variable.assign(value)


def checked_manifest(folder: str, dataset: Dataset) -> dict[str, Any]:
    """Return a captioner's manifest, unless it cannot caption a data set's images.

    Raises:
        UsageError: the folder is no finished captioner, or one of another version or for other
            features.
    """
    manifest = captioner.read_manifest(folder)
    check_encoder(folder, manifest["encoder"], dataset)
    try:
        Configuration.from_dict(manifest["configuration"])
    except UsageError as error:
        raise UsageError(f"{folder}: {error}") from error
    return manifest


def check_encoder(folder: str, facts: dict[str, Any], dataset: Dataset) -> None:
    """Refuse a data set whose features are not those that facts describe.

    Raises:
        UsageError: they differ.
    """
    for name in ("digest", "input_size", "output_shape", "dtype", "rest"):
        if facts.get(name) != dataset.encoder.get(name):
            raise UsageError(
                f"{dataset.folder}: its encoder's {name} is {dataset.encoder.get(name)}, and that"
                f" of {folder} is {facts.get(name)}: preprocess both with the same --encoder,"
                " --features and --dtype"
            )


def note_pictures(known: str, manifest: Mapping[str, Any], dataset: Dataset) -> None:
    """Say on stderr where a data set's images were stored otherwise than a teacher's.

    Args:
        known: folder of the teacher, or of the data set that it is to be trained on.
        manifest: its content.
        dataset: with the images that the teacher is to see.

    Raises:
        UsageError: see `transforms.stored.of`.
    """
    like = stored.of(manifest)
    if like and not stored.alike(like, stored.of(dataset.manifest)):
        print(
            f"{dataset.folder}: its images were not stored as those of {known} were: captions of"
            f" them may be fragments; preprocess them again with --stored_like={known}",
            file=sys.stderr,
        )
