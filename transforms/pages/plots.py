"""Small plots of a page: where marks, lines and labels stand."""

import dataclasses
from collections.abc import Callable, Iterable

WIDTH, HEIGHT = 480.0, 220.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 12.0, 10.0, 26.0
_MARGIN = 0.06  # Of an axis, beyond its outermost marks.


@dataclasses.dataclass(frozen=True)
class Mark:
    """A dot: its centre, and the ends of its spread, in the plot's units."""

    x: float
    y: float
    top: float
    bottom: float
    kind: str
    label: str


@dataclasses.dataclass(frozen=True)
class Tick:
    """A mark on an axis."""

    position: float
    label: str


@dataclasses.dataclass(frozen=True)
class Plot:
    """A drawing of marks.

    Attributes:
        title: what is below and what beside it.
        marks: those that must be seen last, so that they are on top.
        x_ticks, y_ticks: marks of the two axes.
        line: points "x,y x,y …"; empty without one.
    """

    title: str
    marks: tuple[Mark, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    line: str = ""


def across(share: float) -> float:
    """Return how far right a share of the horizontal axis is."""
    share = _MARGIN + (1 - 2 * _MARGIN) * share
    return round(LEFT + share * (WIDTH - LEFT - RIGHT), 2)


def vertical(values: Iterable[float]) -> tuple[Callable[[float], float], tuple[Tick, ...]]:
    """Return what places values on a vertical axis that has room for all of these; its ticks."""
    known = list(values)
    low, high = min(known), max(known)
    room = max(high - low, 1e-9 + 1e-3 * abs(high))

    def y(value: float) -> float:
        share = _MARGIN + (1 - 2 * _MARGIN) * (value - low) / room
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 2)

    marked = [low + room * n / 4 for n in range(5)]
    return y, tuple(Tick(y(value), _number(value, room)) for value in marked)


def _number(value: float, room: float) -> str:
    if room >= 4e-3:
        return f"{value:.3f}"
    return f"{value:.1e}" if abs(value) > 1e-3 * room else "0"


def in_order(count: int) -> tuple[Tick, ...]:
    """Return the ticks of things counted from 1 that stand evenly: the first, one midway, last."""
    last = max(1, count - 1)
    return tuple(Tick(across(n / last), str(n + 1)) for n in sorted({0, last // 2, count - 1}))
