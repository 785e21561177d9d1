"""What every kind of training shares: gradients, the optimiser and the average of the weights."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from trainer.configuration import Configuration
from trainer.finetuning import Optimiser
from trainer.loss import Loss
from trainer.model import Captioner


class Updates:
    """Changes a captioner's weights and keeps their moving average."""

    def __init__(self, captioner: Captioner) -> None:
        """Take a captioner, with its configuration."""
        self.captioner = captioner
        self.weights = [variable.value for variable in captioner.weights]
        self._configuration: Configuration = captioner.configuration
        self._average = [tf.Variable(weight) for weight in self.weights]
        self._optimiser = Optimiser(captioner)

    def apply(self, objective: Callable[[], Loss], rate: tf.Tensor, decay: tf.Tensor) -> Loss:
        """Take one step down an objective; for use inside a graph.

        Args:
            objective: computes the loss of a batch.
            rate: the learning rate, a scalar.
            decay: of the weights' average, a scalar.
        """
        c = self._configuration
        with tf.GradientTape() as tape:
            loss = objective()
        gradients = tape.gradient(loss.mean, self._optimiser.learning)
        # The embedding's gradient is sparse, with rows several times: its norm needs the sum.
        gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
        if c.clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, c.clip_norm)
        self._optimiser.apply(gradients, rate)
        if c.averaging:
            for average, weight in zip(self._average, self.weights, strict=True):
                average.assign_add((1 - decay) * (weight - average))
        return loss

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """Put the average in the place of the weights for a while."""
        if not self._configuration.averaging:
            yield
            return
        raw = [weight.numpy() for weight in self.weights]
        self.assign(self._average)
        yield
        self.assign(raw)

    def assign(self, values: Sequence[Any]) -> None:
        """Set the weights."""
        for weight, value in zip(self.weights, values, strict=True):
            weight.assign(value)

    def restart(self, values: Sequence[Any]) -> None:
        """Begin anew from given weights: they are the average too, and the optimiser is fresh."""
        self.assign(values)
        for average, value in zip(self._average, values, strict=True):
            average.assign(value)
        for variable in self._optimiser.variables:
            variable.assign(tf.zeros_like(variable))

    def variables(self) -> dict[str, list[Any]]:
        """Return all that one step hands to the next, by group."""
        return {
            "weights": self.weights,
            "average": self._average,
            "optimizer": self._optimiser.variables,
        }
