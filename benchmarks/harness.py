"""Runs contenders in turn, each run a process of its own, and sums up what they did."""

import dataclasses
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.child import CORES
from benchmarks.processes import PeakMemory

ROOT = Path(__file__).parents[1]
LOG_CHARACTERS = 3000
HOUR = 3600.0


@dataclasses.dataclass(frozen=True)
class Contender:
    """Something that is measured.

    Attributes:
        name: for people.
        function: `module:function`, called with `arguments` in a process of its own; see
            `benchmarks.child`.
        arguments: JSON-able.
        cores: how many cores the process may use; 0 for all.
        once: whether one round is enough of it, because it is slow.
        limit: seconds after which a run is given up; None where a flag says how long it takes.
    """

    name: str
    function: str
    arguments: dict[str, Any]
    cores: int = 0
    once: bool = False
    limit: float | None = HOUR


@dataclasses.dataclass
class Measured:
    """What the runs of a contender gave.

    Attributes:
        name: the contender's.
        runs: what each run reported, with `peak_bytes` and `process_seconds` added.
        problem: why there are none: a package that is not installed, or an error.
    """

    name: str
    runs: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    problem: str = ""

    def median(self, value: str) -> float:
        """Return the median over the runs of a reported number; nan where there is none."""
        values = [run[value] for run in self.runs if value in run]
        return statistics.median(values) if values else float("nan")

    @property
    def seconds_per_image(self) -> float:
        """The median over the runs of the time that an image took."""
        if not self.runs:
            return float("nan")
        return statistics.median(run["seconds"] / run["images"] for run in self.runs)

    @property
    def rate(self) -> float:
        """Images a second."""
        return 1 / self.seconds_per_image

    @property
    def cpu_share(self) -> float:
        """The share of all cores of the machine that was in use, 0 to 1."""
        return self.median("cpu_seconds") / (self.median("seconds") * CORES)

    @property
    def cpu_seconds_per_image(self) -> float:
        """The median over the runs of the CPU time that an image took."""
        if not self.runs:
            return float("nan")
        return statistics.median(run["cpu_seconds"] / run["images"] for run in self.runs)

    def as_json(self) -> dict[str, Any]:
        """Return the facts as JSON has them."""
        facts: dict[str, Any] = {"name": self.name}
        if self.problem:
            return {**facts, "problem": self.problem}
        if "images" in self.runs[0]:
            facts |= {
                "images_per_second": self.rate,
                "cpu_share": self.cpu_share,
                "cpu_seconds_per_image": self.cpu_seconds_per_image,
            }
        return {**facts, "peak_bytes": self.median("peak_bytes"), "runs": self.runs}


def compare(contenders: Sequence[Contender], rounds: int) -> list[Measured]:
    """Run contenders in turn, as often as there are rounds, so that a slow spell hits all alike.

    A contender that fails once is not run again; the others are.
    """
    if threading.current_thread() is threading.main_thread():
        # A benchmark that is told to end takes the run in work along.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    measured = [Measured(contender.name) for contender in contenders]
    for number in range(rounds):
        for contender, result in zip(contenders, measured, strict=True):
            if result.problem or (contender.once and number):
                continue
            print(f"round {number + 1} of {rounds}: {contender.name} …", end="", file=sys.stderr)
            sys.stderr.flush()
            try:
                run = run_once(contender)
            except RunError as error:
                result.problem = str(error)
                print(f" {result.problem}", file=sys.stderr)
                continue
            if "absent" in run:
                result.problem = f"not installed ({run['absent']})"
            else:
                result.runs.append(run)
            rate = f"{run['images'] / run['seconds']:,.1f} images/s" if "images" in run else ""
            print(f" {result.problem or rate}", file=sys.stderr)
    return measured


class RunError(Exception):
    """A run failed or was given up; the message ends with what it printed last."""


def run_once(contender: Contender) -> dict[str, Any]:
    """Run a contender in a process of its own and return what it reports.

    Raises:
        RunError: it failed, or took longer than its limit.
    """
    with tempfile.TemporaryDirectory(prefix="beamcap-benchmark-") as folder:
        result, log = Path(folder, "result.json"), Path(folder, "log.txt")
        command = [sys.executable, "-m", "benchmarks.child", str(result), contender.function]
        allowed = sorted(os.sched_getaffinity(0))
        start = time.monotonic()
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [*_pinned(allowed[: contender.cores]), *command, json.dumps(contender.arguments)],
                cwd=ROOT,
                env={**os.environ, "TMPDIR": folder, "TF_CPP_MIN_LOG_LEVEL": "2"},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                with PeakMemory(process.pid).watched() as peak:
                    status = process.wait(contender.limit)
            except subprocess.TimeoutExpired:
                raise RunError(f"given up after {contender.limit:g} s: {_last(log)}") from None
            finally:
                # Given up, or the benchmark is told to end.
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
        if status or not result.exists():
            raise RunError(f"failed with status {status}: {_last(log)}")
        facts = json.loads(result.read_text())
    return {
        **facts,
        "peak_bytes": peak.resident,
        "process_seconds": time.monotonic() - start,
    }


def _last(log: Path) -> str:
    """Return what a run printed last."""
    return log.read_text(errors="replace").strip()[-LOG_CHARACTERS:]


def _pinned(cores: Sequence[int]) -> list[str]:
    """Return the command that keeps a process on some cores; nothing for all cores."""
    return ["taskset", "--cpu-list", ",".join(map(str, cores))] if cores else []
