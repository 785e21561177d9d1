"""What a benchmark shows: tables for people, goals met and missed, JSON for programs."""

import dataclasses
import datetime
import json
import math
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import Measured

MISSING = "–"


@dataclasses.dataclass(frozen=True)
class Goal:
    """A goal and what was measured.

    Attributes:
        name: what is measured.
        value: the measurement; nan where there is none.
        bound: the goal.
        most: whether the bound is the most that is allowed; otherwise the least.
    """

    name: str
    value: float
    bound: float
    most: bool = False

    @property
    def verdict(self) -> str:
        """`met`, `missed` or `not measured`."""
        if math.isnan(self.value):
            return "not measured"
        met = self.value <= self.bound if self.most else self.value >= self.bound
        return "met" if met else "missed"

    def row(self) -> list[str]:
        """Return the goal as a row of a table."""
        sign = "≤" if self.most else "≥"
        return [self.name, number(self.value), f"{sign} {number(self.bound)}", self.verdict]


def number(value: float) -> str:
    """Write a number with three digits that count."""
    if math.isnan(value):
        return MISSING
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def megabytes(value: float) -> str:
    """Write a number of bytes."""
    return MISSING if math.isnan(value) else f"{value / 2**20:,.0f} MB"


def percent(value: float) -> str:
    """Write a share."""
    return MISSING if math.isnan(value) else f"{value:.0%}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table, its columns aligned."""
    widths = [max(len(row[n]) for row in [header, *rows]) for n in range(len(header))]
    lines = [header, ["-" * width for width in widths], *rows]
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    )


def goals(met: Sequence[Goal]) -> str:
    """Return the table of goals."""
    return table(["goal", "measured", "wanted", ""], [goal.row() for goal in met])


def contenders(measured: Sequence[Measured], base: Measured) -> str:
    """Return the table of contenders: how often as fast as each `base` is, then absolutes."""
    rows = []
    for one in measured:
        if one.problem:
            rows.append([one.name, one.problem.splitlines()[0][:60], *[MISSING] * 5])
            continue
        rows.append(
            [
                one.name,
                f"{number(base.rate / one.rate)} x",
                number(one.rate),
                f"{number(one.seconds_per_image * 1000)} ms",
                f"{number(one.cpu_seconds_per_image * 1000)} ms",
                percent(one.cpu_share),
                megabytes(one.median("peak_bytes")),
            ]
        )
    times = ["images/s", "an image", "CPU an image", "CPU share"]
    header = ["", f"{base.name} is", *times, "peak memory"]
    return table(header, rows)


def machine() -> dict[str, Any]:
    """Return where and with what a measurement was made."""
    from importlib import metadata

    versions = {}
    for name in ("tensorflow", "keras", "apache-beam", "openvino", "onnxruntime", "torch", "ray"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    models = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "processor": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
        "versions": versions,
    }


def write(path: str, facts: dict[str, Any]) -> None:
    """Write the JSON beside the tables."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(json.dumps(_finite(facts), indent=2, ensure_ascii=False) + "\n")


def _finite(value: Any) -> Any:
    """Replace what JSON cannot hold."""
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
