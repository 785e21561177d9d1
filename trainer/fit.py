"""From a data set and a configuration to a trained captioner."""

import dataclasses
import sys
from typing import Any

from trainer import distillation, evaluation, finetuning, training_page, warm_start, word_vectors
from trainer.configuration import Configuration
from trainer.distribution import Replicas
from trainer.examples import DatasetExamples
from trainer.loop import State, Trainer
from trainer.model import Captioner
from transforms.dataset import Dataset
from transforms.metrics import Scorer
from transforms.pages.training import Example
from transforms.search import seed_of
from transforms.text import join, tokenize


@dataclasses.dataclass(frozen=True)
class Fitted:
    """The outcome of a training.

    Attributes:
        captioner: with the best epoch's weights.
        state: history and best score.
        metrics: its scores on dev, beside those of the best constant caption.
        examples: some of its captions of dev.
    """

    captioner: Captioner
    state: State
    metrics: dict[str, Any]
    examples: list[Example]


def begin(
    dataset: Dataset, configuration: Configuration, replicas: Replicas | None = None
) -> Captioner:
    """Return the captioner that a training begins with.

    Args:
        dataset: whose features it takes, and whose CNN's upper blocks it has, where there are any.
        configuration: checked against the data set.
        replicas: in whose scope it is made; by default there is one.

    Raises:
        UsageError: see `finetuning.load_rest`, `warm_start.check` and `word_vectors.read`.
    """
    words = dataset.vocabulary.tokens
    with (replicas or Replicas()).scope():
        rest = finetuning.load_rest(dataset)
        captioner = Captioner(configuration, len(words), dataset.feature_shape, rest)
    if configuration.word_vectors:
        found = word_vectors.initialise(captioner, configuration.word_vectors, words)
        print(
            f"{configuration.word_vectors}: vectors of {found:,} of {len(words):,} words",
            file=sys.stderr,
        )
    if configuration.start_from:
        found = warm_start.initialise(captioner, configuration.start_from, dataset)
        print(
            f"{configuration.start_from}: begins with its weights and {found:,} of {len(words):,}"
            " words",
            file=sys.stderr,
        )
    return captioner


def fit(
    dataset: Dataset,
    configuration: Configuration,
    folder: str,
    max_minutes: float | None = None,
    replicas: Replicas | None = None,
) -> Fitted:
    """Train a captioner, or continue a training that was killed.

    Args:
        dataset: with images in the splits train and dev.
        configuration: checked against the data set.
        folder: for the checkpoint and the logs.
        max_minutes: see `Trainer.run`.
        replicas: that train together; by default there is one.
    """
    replicas = replicas or Replicas()
    captioner, words = begin(dataset, configuration, replicas), dataset.vocabulary.tokens
    tokenizer = dataset.text["tokenizer"]
    references, seeds = {}, []
    for record in dataset.records("dev"):
        references[record.key] = record.captions
        seeds.append(seed_of(record.sha256))
    tokens = [[tokenize(each, tokenizer) for each in captions] for captions in references.values()]
    evaluator = evaluation.Evaluator(captioner, DatasetExamples(dataset, "dev"), tokens, words)
    examples = DatasetExamples(dataset, "train")
    teachers = distillation.load(configuration, dataset, replicas)
    trainer = Trainer(captioner, examples, evaluator.score, folder, replicas, teachers)
    print(
        f"training {captioner.count_params():,} weights on {dataset.images('train'):,} images with"
        f" {dataset.captions('train'):,} captions, selecting on {len(tokens):,} dev images",
        file=sys.stderr,
    )
    state = trainer.run(max_minutes)
    options = evaluation.search_options(configuration)
    if options.method == "beam" or not replicas.chief:
        captions = evaluator.captions()
    else:
        print(f"searching {options.method} captions of dev", file=sys.stderr)
        captions = evaluation.consensus_captions(captioner, dataset, "dev", seeds)
    texts = [join(caption, tokenizer) for caption in captions]
    written = dict(zip(references, texts, strict=True))
    scorer = Scorer(references, tokenizer=tokenizer)
    ours, constant, floor = scorer.score_beside_floor(written)
    metrics = {
        "split": "dev",
        "epoch": state.best_epoch,
        "search": {k: v for k, v in options.identity().items() if v != ()},
        "scores": ours.scores,
        "floor": {"caption": constant, "scores": floor.scores},
    }
    return Fitted(captioner, state, metrics, training_page.choose(written, references))
