"""One training on several GPUs or machines, with the result of one.

Every replica has all weights and takes every n-th image of each batch; gradients are summed, and
divided by the tokens of the whole batch. So the batches, and up to the order of additions the
gradients, are those of a training in one process.
"""

import contextlib
import os
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from transforms.errors import UsageError


class Replicas:
    """The copies of a model that train together.

    Attributes:
        count: how many.
        chief: whether this process writes the files.
    """

    def __init__(self, strategy: tf.distribute.Strategy | None = None) -> None:
        """Take a strategy; None for one copy and nothing to agree upon."""
        self._strategy = strategy
        self.count = strategy.num_replicas_in_sync if strategy else 1
        resolver = strategy.cluster_resolver if strategy else None
        several = resolver is not None and resolver.task_type is not None
        self._several_machines = several
        # The first worker is the chief where no other is named.
        self.chief = strategy is None or not several or strategy.extended.should_checkpoint
        self._broadcast = tf.function(self._chiefs, autograph=False)

    def scope(self) -> Any:
        """Return the context in which variables are made."""
        return self._strategy.scope() if self._strategy else contextlib.nullcontext()

    def run(self, step: Callable[..., Any], *arguments: Any) -> Any:
        """Run a step on every replica, inside a graph; return what one returns, all being equal."""
        if not self._strategy:
            return step(*arguments)
        results = self._strategy.run(step, arguments)
        return tf.nest.map_structure(
            lambda each: self._strategy.experimental_local_results(each)[0], results
        )

    # The rest is for use within a step.

    def share(self, *values: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Take this replica's rows of a batch, equally many on each.

        Where there are too few, the last row comes again; see `absent`.
        """
        if not self._strategy:
            return values
        rows = tf.shape(values[0])[0]
        places = tf.minimum(self._places(rows), rows - 1)
        return tuple(tf.gather(each, places) for each in values)

    def without_repeats(self, token_ids: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Set the captions of rows that `share` repeated to PAD; `rows` of the whole batch."""
        if not self._strategy:
            return token_ids
        real = self._places(rows) < rows
        return tf.where(real[:, None, None], token_ids, 0)

    def real(self, rows: tf.Tensor) -> tf.Tensor | None:
        """Say which rows of `share` are no repeats, bool; None where no replica has any."""
        return None if self.count == 1 else self._places(rows) < rows

    def join(self, values: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Undo `share`: return the rows of all replicas, in the order of the batch."""
        if not self._strategy:
            return values
        gathered = tf.distribute.get_replica_context().all_gather(values, axis=0)
        shape = tf.shape(values)
        split = tf.reshape(gathered, tf.concat([[self.count], shape], axis=0))
        order = [1, 0, *range(2, len(values.shape) + 1)]
        return tf.reshape(tf.transpose(split, order), tf.concat([[-1], shape[1:]], axis=0))[:rows]

    def seed(self, seed: tf.Tensor) -> tf.Tensor:
        """Give each replica a seed of its own, int32 [2]."""
        if self.count == 1:
            return seed
        return tf.random.experimental.stateless_fold_in(seed, self._number())

    def sum(self, values: Any) -> Any:
        """Add up tensors over the replicas."""
        if not self._strategy:
            return values
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)

    def update(
        self, change: Callable[..., Any], variables: Sequence[tf.Variable], *others: Any
    ) -> None:
        """Call change(variable, *other) for each, on the copies of every replica."""
        if not self._strategy:
            for each in zip(variables, *others, strict=True):
                change(*each)
            return

        def merged(strategy: tf.distribute.Strategy, *others: Any) -> None:
            for variable, *more in zip(variables, *others, strict=True):
                strategy.extended.update(variable, change, args=tuple(more), group=False)

        tf.distribute.get_replica_context().merge_call(merged, args=others)

    # And this one for use outside.

    def agree(self, value: float) -> float:
        """Return the chief's value on all machines."""
        if not self._several_machines:
            return value
        return float(self._broadcast(tf.constant(value, tf.float64)))

    def _chiefs(self, own: tf.Tensor) -> tf.Tensor:
        nothing = tf.zeros([], own.dtype)
        return self.run(lambda: self.sum(tf.where(self._number() == 0, own, nothing)))

    def _number(self) -> tf.Tensor:
        return tf.convert_to_tensor(
            tf.distribute.get_replica_context().replica_id_in_sync_group, tf.int32
        )

    def _places(self, rows: tf.Tensor) -> tf.Tensor:
        each = (rows + self.count - 1) // self.count
        return tf.range(each) * self.count + self._number()


def start(name: str) -> Replicas:
    """Make the replicas that a flag names, before anything else is done with TensorFlow.

    Args:
        name: `none`, `mirrored`, `multi_worker`, or `auto`: the last one where TF_CONFIG is set,
            `mirrored` where there are several GPUs, and otherwise `none`.

    Raises:
        UsageError: `multi_worker` without TF_CONFIG.
    """
    workers = bool(os.environ.get("TF_CONFIG"))
    if name == "auto":
        several = len(tf.config.list_physical_devices("GPU")) > 1
        name = "multi_worker" if workers else "mirrored" if several else "none"
    if name == "multi_worker":
        if not workers:
            raise UsageError(
                "--strategy=multi_worker needs the addresses of all machines in the environment"
                " variable TF_CONFIG: see docs/training.md"
            )
        return Replicas(tf.distribute.MultiWorkerMirroredStrategy())
    return Replicas(tf.distribute.MirroredStrategy() if name == "mirrored" else None)
