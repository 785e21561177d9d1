"""What a process and all its descendants use, as Linux counts it in /proc."""

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
SECONDS_BETWEEN_SAMPLES = 0.1


class Use(NamedTuple):
    """What a process tree has used: CPU seconds, of its dead members too, and resident bytes."""

    cpu_seconds: float
    resident: int


def tree(root: int) -> list[int]:
    """Return a process and all its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = [], [root]
    while waiting:
        process = waiting.pop()
        found.append(process)
        waiting += children.get(process, [])
    return found


def use(root: int) -> Use:
    """Return what a process tree has used so far.

    Memory that processes share counts once for each of them: the sum is an upper bound.
    """
    seconds, resident = 0.0, 0
    for process in tree(root):
        fields = _stat(process)
        if fields:
            # utime, stime, and what children that were waited for had used; then rss in pages.
            seconds += sum(map(int, fields[11:15])) / TICK
            resident += int(fields[21]) * PAGE
    return Use(seconds, resident)


class PeakMemory:
    """The most memory that a process tree has at once, sampled while the block runs.

    Attributes:
        resident: bytes, the largest sum of resident sizes that was seen.
    """

    def __init__(self, root: int) -> None:
        self.resident = 0
        self._root = root

    @contextlib.contextmanager
    def watched(self) -> Iterator["PeakMemory"]:
        """Sample in a thread of its own."""
        ended = threading.Event()
        thread = threading.Thread(target=self._sample, args=(ended,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            ended.set()
            thread.join()

    def _sample(self, ended: threading.Event) -> None:
        while True:
            self.resident = max(self.resident, use(self._root).resident)
            if ended.wait(SECONDS_BETWEEN_SAMPLES):
                return


def _stat(process: int) -> list[str]:
    """Return the fields of /proc/<pid>/stat from the state on; empty where it has gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return []
