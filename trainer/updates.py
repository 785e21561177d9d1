"""What every kind of training shares: gradients, the optimiser and the average of the weights."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from trainer import precision
from trainer.configuration import Configuration
from trainer.distribution import Replicas
from trainer.finetuning import Optimiser
from trainer.loss import Loss
from trainer.model import Captioner


class Updates:
    """Changes a captioner's weights and keeps their moving average.

    Attributes:
        captioner: the model.
        weights: all of its variables.
        replicas: that train together.
    """

    def __init__(self, captioner: Captioner, replicas: Replicas | None = None) -> None:
        """Take a captioner, with its configuration, made in the scope of the replicas."""
        self.captioner = captioner
        self.replicas = replicas = replicas or Replicas()
        self.weights = [variable.value for variable in captioner.weights]
        self._configuration: Configuration = captioner.configuration
        with replicas.scope():
            self._average = [tf.Variable(weight.numpy()) for weight in self.weights]
            self._optimiser = Optimiser(captioner)
            self._scale = precision.LossScale(self._configuration.precision)
        self._fresh = [variable.numpy() for variable in self._optimiser.variables]

    def apply(
        self,
        objective: Callable[[], Sequence[Loss]],
        tokens: Sequence[tf.Tensor],
        rate: tf.Tensor,
        decay: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Take one step down an objective; for use inside a graph, by each replica.

        Args:
            objective: computes the losses of a batch, or of the replica's part of one.
            tokens: of each of them in its order, int32 scalars, this replica's; 0 for a replica
                without an image. They are given because XLA cannot sum over replicas.
            rate: the learning rate, a scalar.
            decay: of the weights' average, a scalar.

        Returns:
            Of the whole batch, the weighted sum of the losses' means, and the tokens of the
            first.
        """
        c, replicas = self._configuration, self.replicas
        tokens = [replicas.sum(each) for each in tokens]
        compute: Any = self._gradients
        if c.xla:
            compute = tf.function(compute, jit_compile=True, autograph=False)
        total, gradients = compute(objective, tokens)
        gradients = replicas.sum(gradients)
        gradients, usable = self._scale.down(gradients)
        if c.clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, c.clip_norm)
        # The optimiser sums over the replicas too.
        gradients = [gradient / replicas.count for gradient in gradients]
        self._optimiser.apply(gradients, rate * usable)
        if c.averaging:
            replicas.update(_approach, self._average, self.weights, [decay] * len(self.weights))
        return replicas.sum(total), tokens[0]

    def _gradients(
        self, objective: Callable[[], Sequence[Loss]], tokens: Sequence[tf.Tensor]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Compute what a step needs; XLA may compile it.

        Args:
            objective: see `apply`.
            tokens: likewise, but of all replicas.

        Returns:
            This replica's part of the loss, float32 scalar, and its gradients, float32 and as
            `Optimiser.learning` has them, multiplied with the scale of the loss.
        """
        with tf.GradientTape() as tape:
            with precision.computing(self.captioner, self._configuration.precision):
                losses = objective()
            total = tf.add_n(
                [
                    loss.weight * tf.math.divide_no_nan(loss.total, tf.cast(each, tf.float32))
                    for loss, each in zip(losses, tokens, strict=True)
                ]
            )
            scaled = self._scale.up(total)
        gradients = tape.gradient(scaled, self._optimiser.learning)
        # The embedding's is sparse, with rows several times: its norm needs the sum.
        return total, [tf.convert_to_tensor(gradient) for gradient in gradients]

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
        for variable, fresh in zip(self._optimiser.variables, self._fresh, strict=True):
            variable.assign(fresh)

    def variables(self) -> dict[str, list[Any]]:
        """Return all that one step hands to the next, by group."""
        return {
            "weights": self.weights,
            "average": self._average,
            "optimizer": self._optimiser.variables,
            "scale": self._scale.variables,
        }


def _approach(average: tf.Variable, weight: tf.Tensor, decay: tf.Tensor) -> None:
    average.assign_add((1 - decay) * (weight - average))
