"""What the page of a search shows, and where its marks stand."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from transforms.pages.plots import Mark, Plot, Tick, across, in_order, vertical


@dataclasses.dataclass(frozen=True)
class Trial:
    """A row of the page. Every text comes from data and is escaped by the page.

    Attributes:
        number: from 0.
        state: complete, pruned, refused or running.
        settings: what was tried, by name.
        value: mean CIDEr-D; None where there is none.
        folds: CIDEr-D of each finished fold.
        spread: standard deviation over the folds; None with fewer than two.
        parameters: weights of the model.
        minutes: of training.
        message: why it was refused.
    """

    number: int
    state: str
    settings: Mapping[str, Any]
    value: float | None
    folds: tuple[float, ...] = ()
    spread: float | None = None
    parameters: int | None = None
    minutes: float = 0.0
    message: str = ""


@dataclasses.dataclass(frozen=True)
class Parameter:
    """What was searched: one of some values, or a range.

    Attributes:
        name: of the setting.
        values: the values as text; empty for a range.
        low, high: the ends of a range.
        log: whether it is even over orders of magnitude.
    """

    name: str
    values: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 1.0
    log: bool = False


@dataclasses.dataclass(frozen=True)
class Tuning:
    """What the page tells.

    Attributes:
        title: the heading.
        trials: in their order, at least one of them complete.
        parameters: what was searched.
        importance: shares by name; empty where too few trials are there to tell.
        best, smallest: numbers of two trials.
        command, smallest_command: that train them.
        folds: how many.
    """

    title: str
    trials: tuple[Trial, ...]
    parameters: tuple[Parameter, ...]
    importance: Mapping[str, float]
    best: int
    smallest: int
    command: str
    smallest_command: str
    folds: int


def shown(value: Any) -> str:
    """Return a setting's value as people read it."""
    if isinstance(value, list | tuple):
        return ",".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def plots(content: Tuning) -> list[Plot]:
    """Lay out the drawings: the history, then each parameter."""
    return [_history(content), *(_against(content, each) for each in content.parameters)]


def _history(content: Tuning) -> Plot:
    last = max(1, len(content.trials) - 1)
    y, y_ticks = _vertical(content)

    def x(trial: Trial) -> float:
        return across(trial.number / last)

    points, best = [], -math.inf
    for trial in content.trials:
        if trial.state == "complete" and trial.value is not None:
            best = max(best, trial.value)
        if best > -math.inf:
            points.append(f"{x(trial)},{y(best)}")
    return Plot(
        "CIDEr of each trial, in their order",
        _marks(content, x, y),
        in_order(len(content.trials)),
        y_ticks,
        " ".join(points),
    )


def _against(content: Tuning, parameter: Parameter) -> Plot:
    y, y_ticks = _vertical(content)
    if parameter.values:
        places = {label: n for n, label in enumerate(parameter.values)}
        last = max(1, len(places) - 1)

        def x(trial: Trial) -> float:
            place = places[shown(trial.settings[parameter.name])]
            # Beside each other within a value, in the order of trials.
            aside = (trial.number / max(1, len(content.trials) - 1) - 0.5) * 0.3 / (last + 1)
            return across(place / last + aside)

        ticks = [Tick(across(n / last), label) for label, n in places.items()]
    else:
        scale = math.log if parameter.log else float
        low, high = scale(parameter.low), scale(parameter.high)

        def x(trial: Trial) -> float:
            return across((scale(trial.settings[parameter.name]) - low) / (high - low))

        undo = math.exp if parameter.log else float
        ticks = [Tick(across(n / 4), f"{undo(low + (high - low) * n / 4):.2g}") for n in range(5)]
    title = f"CIDEr against {parameter.name}"
    return Plot(title, _marks(content, x, y), tuple(ticks), y_ticks)


def _marks(
    content: Tuning, x: Callable[[Trial], float], y: Callable[[float], float]
) -> tuple[Mark, ...]:
    marks = []
    for trial in _drawn(content.trials):
        value, spread = trial.value or 0.0, trial.spread or 0.0
        kind = "best" if trial.number == content.best else trial.state
        label = f"trial {trial.number + 1}: {value:.4f}"
        if trial.spread is not None:
            label += f" ± {trial.spread:.4f}"
        marks.append(Mark(x(trial), y(value), y(value + spread), y(value - spread), kind, label))
    return tuple(sorted(marks, key=lambda mark: ("pruned", "complete", "best").index(mark.kind)))


def _drawn(trials: Sequence[Trial]) -> list[Trial]:
    return [t for t in trials if t.value is not None and t.state in ("complete", "pruned")]


def _vertical(content: Tuning) -> tuple[Callable[[float], float], tuple[Tick, ...]]:
    trials = _drawn(content.trials)
    return vertical((t.value or 0.0) + sign * (t.spread or 0.0) for t in trials for sign in (-1, 1))
