"""Phases of a training: what is done with a batch, behind one interface."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import tensorflow as tf

from trainer import schedule
from trainer.configuration import Configuration
from trainer.distillation import Teachers
from trainer.examples import Examples
from trainer.finetuning import traced
from trainer.loss import Loss, teacher_forced
from trainer.noise import Noise
from trainer.packing import bucket_length
from trainer.updates import Updates
from transforms.text import PAD

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


class Pace(NamedTuple):
    """What changes from step to step."""

    rate: float  # The learning rate.
    decay: float  # Of the weights' average.
    own_words: float = 0.0  # Share of the words read that the captioner draws.


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

    def pace(self, step: int, steps_per_epoch: int) -> Pace:
        """Return the pace of a step, counted from 0 over the phase's epochs."""

    def step(
        self, inputs: tf.Tensor, token_ids: tf.Tensor, seed: tuple[int, int], pace: Pace
    ) -> Outcome:
        """Learn from a batch.

        Args:
            inputs: features or pixels [B, ...].
            token_ids: int32 [B, n, T], each caption from START to END, then PAD.
            seed: of everything random in this step.
            pace: of this step.
        """


def step_signature(examples: Examples, steps: int, *more: tf.TensorSpec) -> list[Any]:
    """Return the input signature of a step's graph.

    Args:
        examples: the training split.
        steps: T, of the token ids.
        more: what comes before the seed.
    """
    return [
        examples.input_spec,
        tf.TensorSpec([None, None, steps], tf.int32),
        *more,
        tf.TensorSpec([2], tf.int32),
        Pace(tf.TensorSpec([]), tf.TensorSpec([]), tf.TensorSpec([])),
    ]


class CrossEntropy:
    """Teacher forcing: the likelihood of the captions that people wrote."""

    name = CROSS_ENTROPY
    rate_flag = "learning_rate"

    def __init__(
        self,
        updates: Updates,
        configuration: Configuration,
        examples: Examples,
        teachers: Teachers | None = None,
    ) -> None:
        """Prepare the graph of a step; `teachers` are learned from beside the captions."""
        self.epochs = configuration.epochs
        self._updates, self._configuration = updates, configuration
        self._examples, self._teachers = examples, teachers
        # By the length of captions: one for all, or with XLA one for each bucket.
        self._step_for = functools.cache(self._traced)

    def pace(self, step: int, steps_per_epoch: int) -> Pace:
        """See `Phase`."""
        c = self._configuration
        total = c.epochs * steps_per_epoch
        rate = schedule.learning_rate(c.learning_rate, c.schedule, step, total, steps_per_epoch)
        return Pace(
            rate * schedule.warmup(c.warmup_steps, step, total),
            schedule.averaging(c.averaging, step),
            c.scheduled_sampling * schedule.ramp(c.epochs, step // steps_per_epoch),
        )

    def step(
        self, inputs: tf.Tensor, token_ids: tf.Tensor, seed: tuple[int, int], pace: Pace
    ) -> Outcome:
        """See `Phase`."""
        steps = self._examples.steps
        if self._configuration.xla:
            steps = min(steps, 1 + bucket_length(token_ids[:, :, 1:]))
        loss, tokens, captions = self._step_for(steps)(inputs, token_ids[:, :, :steps], seed, pace)
        return Outcome(float(loss), int(tokens), int(captions))

    def _traced(self, steps: int) -> Callable[..., Any]:
        return traced(self._updates.captioner, self._run, step_signature(self._examples, steps))

    def _run(
        self, inputs: tf.Tensor, token_ids: tf.Tensor, seed: tf.Tensor, pace: Pace
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        loss, tokens = self._updates.replicas.run(self._learn, inputs, token_ids, seed, pace)
        captions = tf.reduce_sum(tf.cast(tf.reduce_any(token_ids != PAD, axis=2), tf.int32))
        return loss, tokens, captions

    def _learn(
        self, inputs: tf.Tensor, token_ids: tf.Tensor, seed: tf.Tensor, pace: Pace
    ) -> tuple[tf.Tensor, tf.Tensor]:
        c = self._configuration
        replicas, rows = self._updates.replicas, tf.shape(token_ids)[0]
        inputs, token_ids = replicas.share(inputs, token_ids)
        token_ids = replicas.without_repeats(token_ids, rows)
        # XLA cannot sum over replicas.
        noise = Noise(replicas.seed(seed), real=None if c.xla else replicas.real(rows))

        def objective() -> list[Loss]:
            return [
                teacher_forced(
                    self._updates.captioner,
                    inputs,
                    token_ids,
                    label_smoothing=c.label_smoothing,
                    word_dropout=c.word_dropout,
                    own_words=pace.own_words if c.scheduled_sampling else None,
                    teachers=self._teachers,
                    noise=noise,
                )
            ]

        return self._updates.apply(objective, [count_tokens(token_ids)], pace.rate, pace.decay)


def count_tokens(token_ids: tf.Tensor) -> tf.Tensor:
    """Return how many tokens are learned from captions [B, n, T], int32; START is none of them."""
    return tf.math.count_nonzero(token_ids[:, :, 1:], dtype=tf.int32)
