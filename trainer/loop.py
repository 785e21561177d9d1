"""The training loop: epochs, selection on dev, checkpoints.

Everything random in an epoch comes from the run's seed and the number of the epoch or step, and
a checkpoint holds all that one epoch hands to the next. A run that was killed therefore redoes
the epoch it was in and ends with the same weights, bit for bit, as one that was not.
"""

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer import checkpoint, schedule
from trainer.configuration import Configuration
from trainer.examples import Examples
from trainer.loss import teacher_forced
from trainer.model import Captioner
from trainer.noise import Noise
from trainer.progress import Progress
from transforms import files
from transforms.errors import JobError

LOGS = "logs"


@dataclasses.dataclass
class State:
    """What a run knows between two epochs, beside its arrays."""

    epoch: int = 0  # How many are done.
    best_score: float = -1.0
    best_epoch: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = dataclasses.field(default_factory=list)


class Trainer:
    """Trains a captioner by teacher forcing and keeps the weights that caption dev best."""

    def __init__(
        self,
        captioner: Captioner,
        examples: Examples,
        evaluate: Callable[[], float],
        folder: str,
    ) -> None:
        """Prepare the optimiser and the graph of a step.

        Args:
            captioner: the model, with its configuration.
            examples: the training split.
            evaluate: returns the dev CIDEr of the captioner's present weights.
            folder: for the checkpoint and the logs.
        """
        self.captioner = captioner
        self._configuration: Configuration = captioner.configuration
        self._examples = examples
        self._evaluate = evaluate
        self._folder = folder
        self._steps = math.ceil(examples.images / self._configuration.batch_images)
        self._weights = [variable.value for variable in captioner.weights]
        self._trainable = [variable.value for variable in captioner.trainable_variables]
        self._average = [tf.Variable(weight) for weight in self._weights]
        self._best = [weight.numpy() for weight in self._weights]
        self._optimizer = optimizer(self._configuration)
        self._optimizer.build(captioner.trainable_variables)
        self._step = tf.function(
            self._take_step,
            input_signature=[
                examples.input_spec,
                tf.TensorSpec([None, None, examples.steps], tf.int32),
                tf.TensorSpec([2], tf.int32),
                tf.TensorSpec([]),
                tf.TensorSpec([]),
            ],
        )

    def run(self, max_minutes: float | None = None) -> State:
        """Train, from the checkpoint if there is one; leaves the best weights in the captioner.

        Args:
            max_minutes: no epoch starts that would not end within these, earlier runs included.

        Raises:
            UsageError: the checkpoint is damaged.
            JobError: the loss is not a number any more.
        """
        c = self._configuration
        state = self._restore()
        progress = Progress(c.epochs * self._steps, state.epoch * self._steps)
        if state.epoch:
            progress.say(f"continuing after epoch {state.epoch}")
        with contextlib.closing(_summaries(f"{self._folder}/{LOGS}")) as summaries:
            while state.epoch < c.epochs and state.epoch - state.best_epoch < c.patience:
                if state.epoch and max_minutes is not None:
                    expected = state.seconds * (state.epoch + 1) / state.epoch
                    if expected > max_minutes * 60:
                        progress.say(f"stopping: another epoch would take over {max_minutes} min")
                        break
                row = self._epoch(state, progress)
                with summaries.as_default(step=state.epoch):
                    for name, value in row.items():
                        tf.summary.scalar(name, value)
                summaries.flush()
                self._save(state)
                progress.say(
                    f"epoch {state.epoch}: loss {row['loss']:.4f}, dev CIDEr"
                    f" {row['dev_cider']:.4f} (best {state.best_score:.4f}),"
                    f" {row['tokens_per_second']:.0f} tokens/s, {row['seconds']:.0f} s"
                )
        self._assign(self._best)
        return state

    def _epoch(self, state: State, progress: Progress) -> dict[str, float]:
        c = self._configuration
        start = time.monotonic()
        losses = tokens = captions = 0.0
        best = state.best_score if state.epoch else None
        step = first = state.epoch * self._steps
        mixed = np.random.SeedSequence([c.seed, state.epoch]).generate_state(1)
        for inputs, token_ids in self._examples.batches(c.batch_images, int(mixed[0])):
            rate = schedule.learning_rate(c, step, self._steps)
            decay = schedule.averaging(c, step)
            loss, count, written = self._step(inputs, token_ids, [c.seed, step], rate, decay)
            step += 1
            losses += float(loss) * int(count)
            tokens += int(count)
            captions += int(written)
            progress.step(state.epoch + 1, int(written), int(count), losses / tokens, best)
            if not math.isfinite(losses):
                raise JobError(
                    f"the loss is {float(loss)} at step {step}: lower --learning_rate, or set"
                    " --clip_norm"
                )
        assert step - first == self._steps, "the examples are not as many as they said"
        trained = time.monotonic() - start
        with self._averaged():
            score = self._evaluate()
            state.epoch += 1
            if score > state.best_score:
                state.best_score, state.best_epoch = score, state.epoch
                self._best = [weight.numpy() for weight in self._weights]
        seconds = time.monotonic() - start
        state.seconds += seconds
        row = {
            "epoch": state.epoch,
            "loss": losses / tokens,
            "dev_cider": score,
            "learning_rate": rate,
            "captions_per_second": captions / trained,
            "tokens_per_second": tokens / trained,
            "seconds": seconds,
        }
        state.history.append(row)
        return row

    def _take_step(
        self,
        inputs: tf.Tensor,
        token_ids: tf.Tensor,
        seed: tf.Tensor,
        rate: tf.Tensor,
        decay: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        c = self._configuration
        with tf.GradientTape() as tape:
            loss = teacher_forced(
                self.captioner,
                inputs,
                token_ids,
                label_smoothing=c.label_smoothing,
                noise=Noise(seed),
            )
        gradients = tape.gradient(loss.mean, self._trainable)
        # The embedding's gradient is sparse, with rows several times: its norm needs the sum.
        gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
        if c.clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, c.clip_norm)
        self._optimizer.learning_rate.assign(rate)
        self._optimizer.apply(gradients, self.captioner.trainable_variables)
        if c.averaging:
            for average, weight in zip(self._average, self._weights, strict=True):
                average.assign_add((1 - decay) * (weight - average))
        written = tf.reduce_sum(tf.cast(tf.reduce_any(token_ids != 0, axis=2), tf.int32))
        return loss.mean, loss.tokens, written

    @contextlib.contextmanager
    def _averaged(self) -> Iterator[None]:
        """Put the average in the place of the weights for a while."""
        if not self._configuration.averaging:
            yield
            return
        raw = [weight.numpy() for weight in self._weights]
        self._assign(self._average)
        yield
        self._assign(raw)

    def _assign(self, values: list[Any]) -> None:
        for weight, value in zip(self._weights, values, strict=True):
            weight.assign(value)

    def _groups(self) -> dict[str, list[Any]]:
        optimizer = [variable.value for variable in self._optimizer.variables]
        return {"weights": self._weights, "average": self._average, "optimizer": optimizer}

    def _save(self, state: State) -> None:
        arrays = {f"best/{n}": value for n, value in enumerate(self._best)}
        for group, variables in self._groups().items():
            arrays |= {f"{group}/{n}": v.numpy() for n, v in enumerate(variables)}
        checkpoint.save(
            f"{self._folder}/{checkpoint.CHECKPOINT}", arrays, dataclasses.asdict(state)
        )

    def _restore(self) -> State:
        found = checkpoint.load(f"{self._folder}/{checkpoint.CHECKPOINT}")
        if found is None:
            return State()
        arrays, state = found
        for group, variables in self._groups().items():
            for n, variable in enumerate(variables):
                variable.assign(arrays[f"{group}/{n}"])
        self._best = [arrays[f"best/{n}"] for n in range(len(self._best))]
        return State(**state)


def optimizer(configuration: Configuration) -> keras.optimizers.Optimizer:
    """Make Adam (Kingma and Ba, 2015), or AdamW where there is weight decay."""
    if configuration.weight_decay:
        return keras.optimizers.AdamW(weight_decay=configuration.weight_decay)
    return keras.optimizers.Adam()


def _summaries(folder: str) -> Any:
    """Open TensorBoard's log, only where there is a local disk to write on."""
    if files.is_remote(folder):
        return tf.summary.create_noop_writer()
    return tf.summary.create_file_writer(folder)
