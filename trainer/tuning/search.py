"""The search: ask for a configuration, train it on each fold, tell how it did.

Configurations come from a tree-structured Parzen estimator (Bergstra et al., "Algorithms for
Hyper-Parameter Optimization", NeurIPS 2011) as Optuna has it, and what is worse than the median of
the earlier ones at the same epoch is given up. Before each trial Optuna is told all earlier ones
anew, and the estimator is seeded by the trial's number: the order of trials depends on the seed
and the scores alone, not on whether the search was killed in between.
"""

import dataclasses
import statistics
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from trainer.configuration import Configuration
from trainer.tuning.folds import Fold
from trainer.tuning.journal import COMPLETE, PRUNED, REFUSED, RUNNING, Journal, Trial
from trainer.tuning.objective import Part
from trainer.tuning.space import Parameter
from transforms import files
from transforms.dataset import Dataset
from transforms.errors import JobError, UsageError

if TYPE_CHECKING:
    import optuna

STARTUP = 5  # Trials chosen at random, and never given up, before there is something to learn from.
WORKING = "working"


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to search.

    Attributes:
        base: the configuration whose fields hold where nothing is searched.
        parameters: what is searched.
        folds: what is held out in turn; [None] judges by dev.
        trials: how many.
        seed: of the choices.
        max_minutes: no trial starts that would not end within these; None for any.
    """

    base: Configuration
    parameters: tuple[Parameter, ...]
    folds: Sequence[Fold | None]
    trials: int
    seed: int
    max_minutes: float | None


class Search:
    """A search over a data set, or the rest of one that was killed."""

    def __init__(self, dataset: Dataset, plan: Plan, folder: str, journal: Journal) -> None:
        """Prepare; no work starts."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna = optuna
        self._dataset, self._plan, self._journal = dataset, plan, journal
        self._working = files.join(folder, WORKING)
        self._parts: dict[int, Part] = {}
        self._epochs = plan.base.epochs + plan.base.scst_epochs
        self._start = time.monotonic()

    def run(self) -> list[Trial]:
        """Do the trials that are left; returns all.

        Raises:
            UsageError: none of the configurations could be trained to its end.
        """
        trials = self._journal.trials
        while len(trials) < self._plan.trials or (trials and trials[-1].state == RUNNING):
            if not self._time_left():
                _say(f"stopping: another trial would take over {self._plan.max_minutes:g} min")
                break
            self._trial()
        if not any(trial.state == COMPLETE for trial in trials):
            reason = next((t.message for t in trials if t.message), "no trial came to its end")
            raise UsageError(f"no configuration could be judged: {reason}")
        return trials

    def _trial(self) -> None:
        journal = self._journal
        unfinished = bool(journal.trials) and journal.trials[-1].state == RUNNING
        earlier = journal.trials[:-1] if unfinished else list(journal.trials)
        study = self._study(earlier)
        if unfinished:
            # The same would be chosen again; other versions of the libraries might differ.
            study.enqueue_trial(journal.trials[-1].choices)
        asked = study.ask()
        settings = {each.name: each.suggest(asked) for each in self._plan.parameters}
        configuration = dataclasses.replace(self._plan.base, **settings)
        if not unfinished:
            everything = configuration.to_dict()
            journal.trials.append(
                Trial(
                    number=len(earlier),
                    choices=dict(asked.params),
                    settings={name: everything[name] for name in settings},
                )
            )
            journal.save()
        trial = journal.trials[-1]
        _say(f"trial {trial.number + 1} of {self._plan.trials}: {_describe(trial.settings)}")
        try:
            configuration.check(self._dataset.grid_shape)
        except UsageError as error:
            trial.state, trial.message = REFUSED, str(error)
        else:
            self._judge(trial, asked, configuration)
        journal.save()
        _say(
            f"trial {trial.number + 1}: {trial.state}"
            + (f" ({trial.message})" if trial.message else "")
            + ("" if trial.value is None else f", CIDEr {trial.value:.4f}")
            + ("" if trial.spread is None else f" ± {trial.spread:.4f}")
            + self._outlook()
        )

    def _judge(self, trial: Trial, asked: "optuna.Trial", configuration: Configuration) -> None:
        done = len(trial.folds)
        # Of an unfinished fold nothing is left: it is trained again.
        trial.reports = [r for r in trial.reports if r[0] < done * self._epochs]
        for step, value in trial.reports:
            asked.report(value, int(step))
        for number in range(done, len(self._plan.folds)):
            scores: list[float] = []

            def report(score: float, number: int = number, scores: list[float] = scores) -> None:
                scores.append(score)
                # The mean over folds, so that an easy fold does not save a bad configuration.
                value = statistics.fmean([*(f["best"] for f in trial.folds), max(scores)])
                step = number * self._epochs + len(scores) - 1
                asked.report(value, step)
                trial.reports.append([step, value])
                trial.value = value
                if asked.should_prune():
                    raise self._optuna.TrialPruned

            try:
                outcome = self._part(number).fit(configuration, self._working, report)
            except self._optuna.TrialPruned:
                trial.state = PRUNED
                return
            except (JobError, tf.errors.ResourceExhaustedError) as error:
                # It would fail again, and is worse than all that came to an end.
                trial.state, trial.message = REFUSED, " ".join(str(error).split())
                trial.value, trial.reports = None, []
                return
            trial.parameters = outcome.parameters
            trial.folds.append(
                {
                    "best": outcome.best,
                    "epoch": outcome.epoch,
                    "seconds": round(outcome.seconds, 1),
                    "epochs": scores,
                }
            )
            self._journal.save()
        best = [fold["best"] for fold in trial.folds]
        trial.value = statistics.fmean(best)
        trial.spread = statistics.stdev(best) if len(best) > 1 else None
        trial.state = COMPLETE

    def _study(self, earlier: Sequence[Trial]) -> "optuna.Study":
        """Return a study that knows the earlier trials."""
        optuna = self._optuna
        mixed = np.random.SeedSequence([self._plan.seed, len(earlier)]).generate_state(1)
        study = optuna.create_study(
            direction="maximize",
            sampler=optuna.samplers.TPESampler(
                seed=int(mixed[0]), n_startup_trials=STARTUP, multivariate=False
            ),
            pruner=optuna.pruners.MedianPruner(
                n_startup_trials=STARTUP, n_warmup_steps=self._plan.base.epochs // 3
            ),
        )
        for trial in earlier:
            study.add_trial(frozen(trial, self._plan.parameters))
        return study

    def _part(self, number: int) -> Part:
        if number not in self._parts:
            self._parts[number] = Part(self._dataset, self._plan.folds[number])
        return self._parts[number]

    def _time_left(self) -> bool:
        if self._plan.max_minutes is None:
            return True
        spent = [trial.seconds for trial in self._journal.trials if trial.state == COMPLETE]
        expected = statistics.fmean(spent) if spent else 0.0
        return time.monotonic() - self._start + expected <= 60 * self._plan.max_minutes

    def _outlook(self) -> str:
        trials = self._journal.trials
        left = self._plan.trials - len(trials)
        spent = sum(trial.seconds for trial in trials)
        complete = [trial for trial in trials if trial.state == COMPLETE]
        if not complete:
            return ""
        best = max(complete, key=lambda trial: trial.value or 0.0)
        text = f"; best trial {best.number + 1} with {best.value:.4f}"
        if left <= 0 or not spent:
            return text
        return (
            f"{text}; {len(trials) / spent * 3600:.1f} trials/h,"
            f" {spent / len(trials) * left / 60:.0f} min left"
        )


def frozen(trial: Trial, parameters: Sequence[Parameter]) -> "optuna.trial.FrozenTrial":
    """Return a finished trial as Optuna has them."""
    import optuna

    states = {COMPLETE: optuna.trial.TrialState.COMPLETE}
    value = trial.value
    state = states.get(trial.state, optuna.trial.TrialState.PRUNED)
    return optuna.trial.create_trial(
        state=state,
        value=value if state == optuna.trial.TrialState.COMPLETE else None,
        params=trial.choices,
        distributions={each.name: _distribution(each) for each in parameters},
        intermediate_values={int(step): value for step, value in trial.reports},
    )


def _distribution(parameter: Parameter) -> "optuna.distributions.BaseDistribution":
    from optuna import distributions

    if parameter.values:
        return distributions.CategoricalDistribution(list(range(len(parameter.values))))
    if parameter.whole:
        return distributions.IntDistribution(
            int(parameter.low), int(parameter.high), log=parameter.log
        )
    return distributions.FloatDistribution(parameter.low, parameter.high, log=parameter.log)


def _describe(settings: dict[str, Any]) -> str:
    return " ".join(
        f"--{name}={value:.4g}" if isinstance(value, float) else f"--{name}={value}"
        for name, value in settings.items()
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr)
