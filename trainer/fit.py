"""From a data set and a configuration to a trained captioner."""

import dataclasses
import sys

from trainer.configuration import Configuration
from trainer.evaluation import Evaluator
from trainer.examples import DatasetExamples
from trainer.loop import State, Trainer
from trainer.model import Captioner
from transforms.dataset import Dataset
from transforms.text import tokenize


@dataclasses.dataclass(frozen=True)
class Fitted:
    """The outcome of a training.

    Attributes:
        captioner: with the best epoch's weights.
        state: history and best score.
        captions: what it writes for the dev images, by key.
    """

    captioner: Captioner
    state: State
    captions: dict[str, str]


def fit(
    dataset: Dataset, configuration: Configuration, folder: str, max_minutes: float | None = None
) -> Fitted:
    """Train a captioner, or continue a training that was killed.

    Args:
        dataset: with images in the splits train and dev.
        configuration: checked against the data set.
        folder: for the checkpoint and the logs.
        max_minutes: see `Trainer.run`.
    """
    words = dataset.vocabulary.tokens
    captioner = Captioner(configuration, len(words), dataset.feature_shape)
    tokenizer = dataset.text["tokenizer"]
    references, keys = [], []
    for record in dataset.records("dev"):
        references.append([tokenize(caption, tokenizer) for caption in record.captions])
        keys.append(record.key)
    evaluator = Evaluator(captioner, DatasetExamples(dataset, "dev"), references, words)
    trainer = Trainer(captioner, DatasetExamples(dataset, "train"), evaluator.score, folder)
    print(
        f"training {captioner.count_params():,} weights on {dataset.images('train'):,} images with"
        f" {dataset.captions('train'):,} captions, selecting on {len(keys):,} dev images",
        file=sys.stderr,
    )
    state = trainer.run(max_minutes)
    captions = [" ".join(caption) for caption in evaluator.captions()]
    return Fitted(captioner, state, dict(zip(keys, captions, strict=True)))
