"""Training one configuration on one fold."""

import dataclasses
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from trainer.configuration import Configuration
from trainer.evaluation import Evaluator
from trainer.examples import DatasetExamples
from trainer.fit import begin
from trainer.loop import Trainer
from trainer.tuning.folds import Fold
from transforms.dataset import Dataset
from transforms.files import encoded
from transforms.records import Record
from transforms.text import tokenize


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a training came to.

    Attributes:
        best: CIDEr-D of the best epoch's captions of the held-out images, 0 to 10.
        epoch: that epoch, from 1.
        seconds: it took.
        parameters: weights of the model.
    """

    best: float
    epoch: int
    seconds: float
    parameters: int


class Part:
    """A division of a data set: what is trained on, and what is judged by.

    Args:
        dataset: the data set.
        fold: what of train is held out; None trains on all of train and judges by dev.
    """

    def __init__(self, dataset: Dataset, fold: Fold | None) -> None:
        self._dataset = dataset
        if fold is None:
            self.train = DatasetExamples(dataset, "train")
            self.held_out = DatasetExamples(dataset, "dev")
        else:
            self.train = DatasetExamples(dataset, "train", lambda key, _: fold.trained_on(key))
            # Views teach, but what counts are the images themselves, as in dev.
            self.held_out = DatasetExamples(
                dataset, "train", lambda key, view: fold.held_out(key) & (view == "")
            )
        tokenizer = dataset.text["tokenizer"]
        self._references = [
            [tokenize(caption, tokenizer) for caption in record.captions]
            for record in self._records(fold)
        ]

    def fit(
        self, configuration: Configuration, folder: str, report: Callable[[float], None]
    ) -> Outcome:
        """Train, from the start.

        Args:
            configuration: checked.
            folder: for the checkpoint and the logs; it is deleted before and after.
            report: called with the CIDEr-D after each epoch; it may raise to end the training.
        """
        shutil.rmtree(folder, ignore_errors=True)
        captioner = begin(self._dataset, configuration)
        words = self._dataset.vocabulary.tokens
        evaluator = Evaluator(captioner, self.held_out, self._references, words)

        def evaluate() -> float:
            score = evaluator.score()
            report(score)
            return score

        Path(folder).mkdir(parents=True)
        try:
            state = Trainer(captioner, self.train, evaluate, folder).run()
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return Outcome(state.best_score, state.best_epoch, state.seconds, captioner.count_params())

    def _records(self, fold: Fold | None) -> Iterator[Record]:
        """Yield the held-out records in the order of the examples."""
        if fold is None:
            yield from self._dataset.records("dev")
            return
        for record in self._dataset.records("train"):
            key = encoded(record.key)
            if not record.view and bool(fold.held_out(key)):
                yield record
