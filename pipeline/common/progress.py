"""Progress of a local job: rate, share done, time left, rejects.

Workers of every runner, in the driver's process or in others, leave their counts in small
files below the output; the driver adds them up and shows one line. In a bucket there is no
display: the runner's own shows the job's counters.
"""

import contextlib
import json
import os
import shutil
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from transforms import files
from transforms.durations import clock

FOLDER = ".progress"
SECONDS_BETWEEN_REPORTS = 0.5
SECONDS_BETWEEN_LINES = 10.0


class Reporter:
    """A worker's side: counts of one unit, written at most twice a second."""

    def __init__(self, output: str, total: int) -> None:
        """Start counting.

        Args:
            output: the job's output.
            total: images of the whole job.
        """
        self._path = None if files.is_remote(output) else Path(output, FOLDER, uuid.uuid4().hex)
        self._counts = {"total": total, "done": 0, "rejected": 0, "resumed": 0}
        self._last = 0.0

    def add(self, *, done: int = 0, rejected: int = 0, resumed: int = 0) -> None:
        """Count images; `resumed` are those that an earlier run had finished."""
        self._counts["done"] += done
        self._counts["rejected"] += rejected
        self._counts["resumed"] += resumed
        if time.monotonic() - self._last >= SECONDS_BETWEEN_REPORTS:
            self.flush()

    def flush(self) -> None:
        """Write the counts now. Progress is a courtesy: a failure to write it is no failure."""
        self._last = time.monotonic()
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.parent.mkdir(parents=True, exist_ok=True)
                temporary = self._path.with_suffix(".tmp")
                temporary.write_text(json.dumps(self._counts))
                temporary.replace(self._path)


@contextlib.contextmanager
def display(output: str, job: str) -> Iterator[None]:
    """Show the progress of a job on stderr while the block runs."""
    if files.is_remote(output):
        yield
        return
    folder = Path(output, FOLDER)
    shutil.rmtree(folder, ignore_errors=True)
    finished = threading.Event()
    thread = threading.Thread(target=_watch, args=(folder, job, finished), daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()
        shutil.rmtree(folder, ignore_errors=True)


def line(job: str, counts: dict[str, int], seconds: float) -> str:
    """Return the line that tells how far a job is.

    Args:
        job: its name.
        counts: `total`, `done`, `rejected` and `resumed` images.
        seconds: since work on images began.
    """
    worked = counts["done"] + counts["rejected"]
    # A unit that began anew counts its images twice.
    through = min(worked + counts["resumed"], counts["total"])
    share = through / counts["total"] if counts["total"] else 1.0
    rate = worked / seconds if seconds > 0 else 0.0
    left = (counts["total"] - through) / rate if rate else 0.0
    resumed = f" ({counts['resumed']:,} from an earlier run)" if counts["resumed"] else ""
    return (
        f"{job}: {through:,} of {counts['total']:,} images{resumed}, {share:.0%},"
        f" {rate:,.0f} images/s, {clock(left)} left, {counts['rejected']:,} rejected"
    )


def _watch(folder: Path, job: str, finished: threading.Event) -> None:
    terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    began: float | None = None
    shown, last_shown = "", 0.0
    print(f"{job}: planning", file=sys.stderr)
    while True:
        ended = finished.wait(1.0 if terminal else 2.0)
        counts = _sum(folder)
        now = time.monotonic()
        if counts["total"]:
            began = began or now - SECONDS_BETWEEN_REPORTS
            text = line(job, counts, now - began)
            if terminal:
                print(f"\r{text:<{len(shown)}}", end="", file=sys.stderr, flush=True)
                shown = text
            elif (ended or now - last_shown >= SECONDS_BETWEEN_LINES) and text != shown:
                print(text, file=sys.stderr, flush=True)
                shown, last_shown = text, now
        if ended:
            if terminal and shown:
                print(file=sys.stderr)
            return


def _sum(folder: Path) -> dict[str, int]:
    counts = {"total": 0, "done": 0, "rejected": 0, "resumed": 0}
    for path in folder.glob("*"):
        if path.suffix != ".tmp":
            # A file may go while it is read: the next look will find its successor.
            with contextlib.suppress(OSError, ValueError):
                part = json.loads(path.read_text())
                counts["total"] = max(counts["total"], part.pop("total"))
                for name, value in part.items():
                    counts[name] += value
    return counts
