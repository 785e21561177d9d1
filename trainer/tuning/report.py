"""What a search found, for programs and for people."""

import math
from collections.abc import Sequence
from typing import Any

from trainer import command_line
from trainer.configuration import Configuration
from trainer.tuning.journal import COMPLETE, Trial
from trainer.tuning.search import Plan, frozen
from trainer.tuning.space import Parameter
from transforms import files, manifests, pages
from transforms.dataset import Dataset
from transforms.pages import tuning as page

BEST, PAGE = "best.json", "tuning.html"


def write(output: str, trials: Sequence[Trial], plan: Plan, dataset: Dataset) -> dict[str, Any]:
    """Write best.json and tuning.html; returns the content of the former.

    Args:
        output: the search's folder.
        trials: all, at least one of them complete.
        plan: what was searched.
        dataset: what it was searched on.
    """
    complete = [trial for trial in trials if trial.state == COMPLETE]
    best = max(complete, key=lambda trial: (_value(trial), -trial.number))
    small = smallest(complete, best)
    weights = importance(complete, plan)
    content = {
        "format": "beamcap.best",
        "version": 1,
        **_tell(best, plan, dataset),
        "smallest": _tell(small, plan, dataset),
        "importance": weights,
        "software": {**manifests.software(), "optuna": _optuna_version()},
    }
    files.write_json(files.join(output, BEST), content)
    text = pages.tuning_page(
        page.Tuning(
            title=f"Search over {dataset.folder.rsplit('/', 1)[-1]}",
            trials=tuple(_shown(trial) for trial in trials),
            parameters=tuple(_axis(each) for each in plan.parameters),
            importance=weights,
            best=best.number,
            smallest=small.number,
            command=content["command"],
            smallest_command=content["smallest"]["command"],
            folds=len(plan.folds),
        )
    )
    files.write_bytes(files.join(output, PAGE), text.encode("utf-8", "backslashreplace"))
    return content


def smallest(complete: Sequence[Trial], best: Trial) -> Trial:
    """Return the trial with the fewest weights that is as good as the best one.

    As good is what lies within one standard error of the best one's mean (Breiman et al.,
    "Classification and Regression Trees", 1984).
    """
    error = (best.spread or 0.0) / math.sqrt(max(1, len(best.folds)))
    good = [trial for trial in complete if _value(trial) >= _value(best) - error]
    return min(good, key=lambda trial: (trial.parameters or 0, -_value(trial), trial.number))


def importance(complete: Sequence[Trial], plan: Plan) -> dict[str, float]:
    """Return each parameter's share of what separates good trials from others.

    By PED-ANOVA (Watanabe et al., "PED-ANOVA: Efficiently Quantifying Hyperparameter Importance
    in Arbitrary Subspaces", IJCAI 2023); empty where there are too few trials to tell.
    """
    import optuna

    if len(complete) < 2 * len(plan.parameters) or len(complete) < 4:  # Two a side.
        return {}
    study = optuna.create_study(direction="maximize")
    for trial in complete:
        study.add_trial(frozen(trial, plan.parameters))
    found = optuna.importance.get_param_importances(
        study, evaluator=optuna.importance.PedAnovaImportanceEvaluator()
    )
    if not all(map(math.isfinite, found.values())):
        return {}
    return {name: round(value, 4) for name, value in found.items()}


def _tell(trial: Trial, plan: Plan, dataset: Dataset) -> dict[str, Any]:
    values = {**plan.base.to_dict(), **trial.settings}
    configuration = Configuration.from_dict(values)
    others = {"dataset": dataset.folder, "output": "captioner"}
    return {
        "trial": trial.number,
        "cider": trial.value,
        "spread": trial.spread,
        "folds": [fold["best"] for fold in trial.folds],
        "parameters": trial.parameters,
        "settings": trial.settings,
        "flags": command_line.flags(configuration, dataset.cut),
        "command": command_line.command(configuration, dataset.cut, others),
    }


def _shown(trial: Trial) -> page.Trial:
    return page.Trial(
        number=trial.number,
        state=trial.state,
        settings=trial.settings,
        value=trial.value,
        folds=tuple(fold["best"] for fold in trial.folds),
        spread=trial.spread,
        parameters=trial.parameters,
        minutes=trial.seconds / 60,
        message=trial.message,
    )


def _axis(parameter: Parameter) -> page.Parameter:
    values = tuple(map(page.shown, parameter.values))
    return page.Parameter(
        parameter.name, values, float(parameter.low), float(parameter.high), parameter.log
    )


def _value(trial: Trial) -> float:
    return -math.inf if trial.value is None else trial.value


def _optuna_version() -> str:
    import optuna

    return optuna.__version__
