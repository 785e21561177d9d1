"""The geometry of a histogram, for the page's template to draw."""

import dataclasses
import math
import statistics
from collections.abc import Sequence

from transforms.pages.plots import Tick

WIDTH, HEIGHT = 480.0, 180.0
LEFT, RIGHT, TOP, BOTTOM = 34.0, 8.0, 10.0, 24.0
BINS = 20


@dataclasses.dataclass(frozen=True)
class Bar:
    """One bin: its box in the drawing's units, its range and its count."""

    x: float
    y: float
    width: float
    height: float
    label: str
    count: int


@dataclasses.dataclass(frozen=True)
class Histogram:
    """Bars of equal width over scores from 0 on; the last one takes all that is above.

    Attributes:
        bars: from left to right.
        x_ticks, y_ticks: marks of the two axes.
        median: of the scores.
        zeros: how many scores are 0.
    """

    bars: tuple[Bar, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    median: float
    zeros: int
    _end: float

    @classmethod
    def of(cls, scores: Sequence[float]) -> "Histogram":
        """Lay out the histogram of one or more scores."""
        ordered = sorted(scores)
        # One in a hundred images may lie far out; the axis ends where the others do.
        end = float(max(1, math.ceil(ordered[int(0.99 * (len(ordered) - 1))])))
        step = end / BINS
        counts = [0] * BINS
        for score in ordered:
            counts[min(BINS - 1, int(score / step + 1e-9))] += 1
        top = _round_up(max(counts))
        width = (WIDTH - LEFT - RIGHT) / BINS
        scale = (HEIGHT - TOP - BOTTOM) / top
        bars = tuple(
            Bar(
                x=round(LEFT + i * width + 0.5, 2),
                y=round(HEIGHT - BOTTOM - count * scale, 2),
                width=round(width - 1, 2),
                height=round(count * scale, 2),
                label=f"{i * step:.2f} and above"
                if i == BINS - 1
                else f"{i * step:.2f} to {(i + 1) * step:.2f}",
                count=count,
            )
            for i, count in enumerate(counts)
        )
        y_ticks = tuple(
            Tick(round(HEIGHT - BOTTOM - value * scale, 2), f"{value:,}")
            for value in sorted({0, top // 2, top})
        )
        histogram = cls(bars, (), y_ticks, statistics.median(ordered), ordered.count(0), end)
        x_ticks = tuple(
            Tick(histogram.x(end * i / 4), f"{end * i / 4:g}" + ("+" if i == 4 else ""))
            for i in range(5)
        )
        return dataclasses.replace(histogram, x_ticks=x_ticks)

    def x(self, score: float) -> float:
        """Return where a score stands, in the drawing's units."""
        return round(LEFT + min(score / self._end, 1.0) * (WIDTH - LEFT - RIGHT), 2)


def _round_up(count: int) -> int:
    """Return the next number of the form 2, 4, 6, 10, 20, 40, 60, 100 …"""
    power = 10 ** max(0, len(str(count)) - 1)
    for factor in (1, 2, 4, 6, 10):
        if factor * power >= max(2, count):
            return factor * power
    raise AssertionError(count)
