"""Phases of a training: what is done with a batch, behind one interface."""

import dataclasses
from typing import Protocol

import tensorflow as tf

from trainer import schedule
from trainer.configuration import Configuration
from trainer.examples import Examples
from trainer.finetuning import traced
from trainer.loss import teacher_forced
from trainer.noise import Noise
from trainer.updates import Updates

CROSS_ENTROPY = "cross-entropy"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What one batch came to.

    Attributes:
        loss: per token, what was minimised.
        tokens: how many were learned from.
        captions: likewise.
        means: other figures by name, each a mean over the captions.
        seconds: where the time went, by name; empty where it went to one thing.
    """

    loss: float
    tokens: int
    captions: int
    means: dict[str, float] = dataclasses.field(default_factory=dict)
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)


class Phase(Protocol):
    """A way of training, for some epochs.

    Attributes:
        name: as in the history.
        rate_flag: the flag of its learning rate.
        epochs: how many passes over the training images at most.
    """

    name: str
    rate_flag: str
    epochs: int

    def learning_rate(self, step: int, steps_per_epoch: int) -> float:
        """Return the rate of a step, counted from 0 over the phase's epochs."""

    def averaging(self, step: int) -> float:
        """Return the decay of the weights' average at such a step."""

    def step(
        self,
        inputs: tf.Tensor,
        token_ids: tf.Tensor,
        seed: tuple[int, int],
        rate: float,
        decay: float,
    ) -> Outcome:
        """Learn from a batch.

        Args:
            inputs: features or pixels [B, ...].
            token_ids: int32 [B, n, T], each caption from START to END, then PAD.
            seed: of everything random in this step.
            rate: the learning rate.
            decay: of the weights' average.
        """


def step_signature(examples: Examples, *more: tf.TensorSpec) -> list[tf.TensorSpec]:
    """Return the input signature of a step's graph, with `more` before the seed."""
    return [
        examples.input_spec,
        tf.TensorSpec([None, None, examples.steps], tf.int32),
        *more,
        tf.TensorSpec([2], tf.int32),
        tf.TensorSpec([]),
        tf.TensorSpec([]),
    ]


class CrossEntropy:
    """Teacher forcing: the likelihood of the captions that people wrote."""

    name = CROSS_ENTROPY
    rate_flag = "learning_rate"

    def __init__(self, updates: Updates, configuration: Configuration, examples: Examples) -> None:
        """Prepare the graph of a step."""
        self.epochs = configuration.epochs
        self._updates, self._configuration = updates, configuration
        self._step = traced(updates.captioner, self._learn, step_signature(examples))

    def learning_rate(self, step: int, steps_per_epoch: int) -> float:
        """See `Phase`."""
        c = self._configuration
        rate = schedule.learning_rate(
            c.learning_rate, c.schedule, step, c.epochs * steps_per_epoch, steps_per_epoch
        )
        return rate * schedule.warmup(c.warmup_steps, step)

    def averaging(self, step: int) -> float:
        """See `Phase`."""
        return schedule.averaging(self._configuration.averaging, step)

    def step(
        self,
        inputs: tf.Tensor,
        token_ids: tf.Tensor,
        seed: tuple[int, int],
        rate: float,
        decay: float,
    ) -> Outcome:
        """See `Phase`."""
        loss, tokens, captions = self._step(inputs, token_ids, seed, rate, decay)
        return Outcome(float(loss), int(tokens), int(captions))

    def _learn(
        self,
        inputs: tf.Tensor,
        token_ids: tf.Tensor,
        seed: tf.Tensor,
        rate: tf.Tensor,
        decay: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        c = self._configuration
        loss = self._updates.apply(
            lambda: teacher_forced(
                self._updates.captioner,
                inputs,
                token_ids,
                label_smoothing=c.label_smoothing,
                noise=Noise(seed),
            ),
            rate,
            decay,
        )
        captions = tf.reduce_sum(tf.cast(tf.reduce_any(token_ids != 0, axis=2), tf.int32))
        return loss.mean, loss.tokens, captions
