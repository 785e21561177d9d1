"""The training loop: phases of epochs, selection on dev, checkpoints.

Everything random in an epoch comes from the run's seed and the number of the epoch or step, and
a checkpoint holds all that one epoch hands to the next. A run that was killed therefore redoes
the epoch it was in and ends with the same weights, bit for bit, as one that was not.
"""

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from trainer import checkpoint
from trainer.distillation import Teachers
from trainer.distribution import Replicas
from trainer.examples import Examples
from trainer.model import Captioner
from trainer.phases import CrossEntropy, Outcome, Phase
from trainer.progress import Progress
from trainer.self_critical import SELF_CRITICAL, SelfCritical
from trainer.updates import Updates
from transforms import files
from transforms.errors import JobError

LOGS = "logs"
Row = dict[str, Any]


@dataclasses.dataclass
class State:
    """What a run knows between two epochs, beside its arrays."""

    epoch: int = 0  # How many are done.
    phase: int = 0  # Which phase the last of them belonged to, from 0.
    phase_epoch: int = 0  # How many are done of that phase.
    best_score: float = -1.0
    best_epoch: int = 0
    seconds: float = 0.0
    history: list[Row] = dataclasses.field(default_factory=list)


class Totals:
    """Sums what the steps of an epoch came to."""

    def __init__(self) -> None:
        """Start at nothing."""
        self.loss = 0.0
        self.tokens = self.captions = 0
        self.means: dict[str, float] = {}
        self.seconds: dict[str, float] = {}

    def add(self, outcome: Outcome) -> None:
        """Count a step."""
        self.loss += outcome.loss * outcome.tokens
        self.tokens += outcome.tokens
        self.captions += outcome.captions
        for name, value in outcome.means.items():
            self.means[name] = self.means.get(name, 0.0) + value * outcome.captions
        for name, value in outcome.seconds.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + value

    def row(self) -> Row:
        """Return the means over the epoch, and the share of each part in its time."""
        total = sum(self.seconds.values())
        return {
            "loss": self.loss / self.tokens,
            **{name: value / self.captions for name, value in self.means.items()},
            **{f"{name}_share": value / total for name, value in self.seconds.items()},
        }


class Trainer:
    """Trains a captioner, phase after phase, and keeps the weights that caption dev best.

    First comes cross-entropy, then, if the configuration wants it, self-critical training from
    the best weights of that.
    """

    def __init__(
        self,
        captioner: Captioner,
        examples: Examples,
        evaluate: Callable[[], float],
        folder: str,
        replicas: Replicas | None = None,
        teachers: Teachers | None = None,
    ) -> None:
        """Prepare the optimiser and the graphs of the steps.

        Args:
            captioner: the model, with its configuration.
            examples: the training split.
            evaluate: returns the dev CIDEr of the captioner's present weights.
            folder: for the checkpoint and the logs.
            replicas: in whose scope the captioner was made; by default there is one.
            teachers: that it learns from in the first phase, in that scope too.
        """
        self.captioner = captioner
        self._configuration = c = captioner.configuration
        self._examples = examples
        self._evaluate = evaluate
        self._folder = folder
        self._steps = math.ceil(examples.images / c.batch_images)
        self._updates = Updates(captioner, replicas)
        self._replicas = self._updates.replicas
        self._best = [weight.numpy() for weight in self._updates.weights]
        self._phases: list[Phase] = [CrossEntropy(self._updates, c, examples, teachers)]
        if c.scst_epochs:
            self._phases.append(SelfCritical(self._updates, c, examples))

    def run(self, max_minutes: float | None = None) -> State:
        """Train, from the checkpoint if there is one; leaves the best weights in the captioner.

        Args:
            max_minutes: no epoch starts that would not end within these, earlier runs included.

        Raises:
            UsageError: the checkpoint is damaged.
            JobError: the loss is not a number any more.
        """
        state = self._restore()
        progress = Progress(self._all_steps(state), state.epoch * self._steps)
        if state.epoch:
            progress.say(f"continuing after epoch {state.epoch}")
        elif self._configuration.start_from:
            # What an epoch must surpass to be kept.
            state.best_score = self._replicas.agree(self._evaluate())
            progress.say(f"beginning with a dev CIDEr of {state.best_score:.4f}")
        with contextlib.closing(self._summaries()) as summaries:
            while (phase := self._phase(state)) is not None:
                if max_minutes is not None and self._too_late(state, phase, max_minutes):
                    progress.say(f"stopping: another epoch would take over {max_minutes} min")
                    break
                progress.steps = self._all_steps(state)
                row = self._epoch(state, phase, progress)
                with summaries.as_default(step=state.epoch):
                    for name, value in row.items():
                        if name != "phase":
                            tf.summary.scalar(name, value)
                summaries.flush()
                self._save(state)
                progress.say(_line(row, state))
        self._updates.assign(self._best)
        return state

    def _phase(self, state: State) -> Phase | None:
        """Return the phase of the next epoch, begun if it is another one; None at the end."""
        while state.phase < len(self._phases):
            phase = self._phases[state.phase]
            waited = state.epoch - max(state.best_epoch, state.epoch - state.phase_epoch)
            if state.phase_epoch < phase.epochs and waited < self._configuration.patience:
                return phase
            state.phase, state.phase_epoch = state.phase + 1, 0
            self._updates.restart(self._best)
        return None

    def _all_steps(self, state: State) -> int:
        """Return the steps of the whole training, if patience ends no phase from here on."""
        epochs = sum(phase.epochs for phase in self._phases[state.phase :])
        return (state.epoch - state.phase_epoch + epochs) * self._steps

    def _epoch(self, state: State, phase: Phase, progress: Progress) -> Row:
        c = self._configuration
        start = time.monotonic()
        totals = Totals()
        best = state.best_score if state.epoch else None
        self_critical = phase.name == SELF_CRITICAL
        self.captioner.finetuning = c.finetunes(state.epoch, self_critical)
        steps = 0
        mixed = np.random.SeedSequence([c.seed, state.epoch]).generate_state(1)
        for inputs, token_ids in self._examples.batches(c.batch_images, int(mixed[0])):
            step = state.phase_epoch * self._steps + steps
            pace = phase.pace(step, self._steps)
            seed = (c.seed, state.epoch * self._steps + steps)
            outcome = phase.step(inputs, token_ids, seed, pace)
            steps += 1
            totals.add(outcome)
            if not math.isfinite(totals.loss):
                raise JobError(
                    f"the loss is {outcome.loss} in step {step + 1} of {phase.name}: lower"
                    f" --{phase.rate_flag}, or set --clip_norm"
                )
            figure = _figure(totals.row())
            progress.step(state.epoch + 1, outcome.captions, outcome.tokens, figure, best)
        assert steps == self._steps, "the examples are not as many as they said"
        trained = time.monotonic() - start
        with self._updates.averaged():
            score = self._replicas.agree(self._evaluate())
            state.epoch += 1
            state.phase_epoch += 1
            if better(score, state.best_score):
                state.best_score, state.best_epoch = score, state.epoch
                self._best = [weight.numpy() for weight in self._updates.weights]
        seconds = time.monotonic() - start
        state.seconds += seconds
        row = {
            "epoch": state.epoch,
            "phase": phase.name,
            **totals.row(),
            "dev_cider": score,
            "learning_rate": pace.rate,
            "captions_per_second": totals.captions / trained,
            "tokens_per_second": totals.tokens / trained,
            "seconds": seconds,
        }
        state.history.append(row)
        return row

    def _too_late(self, state: State, phase: Phase, minutes: float) -> bool:
        """Say whether another epoch would end after these minutes, by the chief's clock."""
        like = [row for row in state.history if row.get("phase") == phase.name]
        like = like or state.history[-1:]
        expected = state.seconds + sum(row["seconds"] for row in like) / max(1, len(like))
        return self._replicas.agree(expected) > minutes * 60

    def _summaries(self) -> Any:
        """Open TensorBoard's log, only where there is a local disk to write on."""
        folder = f"{self._folder}/{LOGS}"
        if files.is_remote(folder) or not self._replicas.chief:
            return tf.summary.create_noop_writer()
        return tf.summary.create_file_writer(folder)

    def _save(self, state: State) -> None:
        if not self._replicas.chief:
            return
        arrays = {f"best/{n}": value for n, value in enumerate(self._best)}
        for group, variables in self._updates.variables().items():
            arrays |= {f"{group}/{n}": v.numpy() for n, v in enumerate(variables)}
        checkpoint.save(
            f"{self._folder}/{checkpoint.CHECKPOINT}", arrays, dataclasses.asdict(state)
        )

    def _restore(self) -> State:
        found = checkpoint.load(f"{self._folder}/{checkpoint.CHECKPOINT}")
        if found is None:
            return State()
        arrays, state = found
        for group, variables in self._updates.variables().items():
            for n, variable in enumerate(variables):
                variable.assign(arrays[f"{group}/{n}"])
        self._best = [arrays[f"best/{n}"] for n in range(len(self._best))]
        return State(**state)


def better(score: float, best: float) -> bool:
    """Whether an epoch of a dev CIDEr is kept in the place of the best one before it."""
    # As long as all is wrong, what learned longer is better.
    return score > best or score == best == 0


def _figure(row: Row) -> str:
    """Say what tells best how an epoch goes."""
    return f"reward {row['reward']:.4f}" if "reward" in row else f"loss {row['loss']:.4f}"


def _line(row: Row, state: State) -> str:
    """Say what an epoch came to."""
    suffix = "_share"
    shares = [
        f"{name.removesuffix(suffix)} {value:.0%}"
        for name, value in row.items()
        if name.endswith(suffix)
    ]
    return (
        f"epoch {row['epoch']}: {_figure(row)}, dev CIDEr {row['dev_cider']:.4f}"
        f" (best {state.best_score:.4f}), {row['tokens_per_second']:.0f} tokens/s,"
        f" {row['seconds']:.0f} s" + (f" ({', '.join(shares)})" if shares else "")
    )
