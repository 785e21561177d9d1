"""Running a job as a user does, as a process of its own, to its end or to a sudden death."""

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults.warm import Job, WarmPython

POLL_SECONDS = 0.02
GRACE_SECONDS = 15.0
LOG_CHARACTERS = 6000
ROOT = Path(__file__).parents[2]
TIMED = ("run.json", "metrics.prom")


@dataclass(frozen=True)
class Run:
    """How a job ended.

    Attributes:
        status: exit status; minus the signal's number where a signal ended it.
        log: what it and its workers printed, both streams.
        seconds: how long it ran.
        left_behind: command lines of processes that it started and that outlived it.
    """

    status: int
    log: str
    seconds: float
    left_behind: tuple[str, ...]

    def check(self, status: int = 0) -> None:
        """Fail, showing the end of the log, unless the job ended so and left no process."""
        assert self.status == status, f"status {self.status}\n{self.log[-LOG_CHARACTERS:]}"
        assert not self.left_behind, f"left behind: {self.left_behind}"


def run_job(
    arguments: Sequence[str],
    folder: Path,
    *,
    kill_when: Callable[[], bool] | None = None,
    environment: Mapping[str, str] | None = None,
    timeout: float = 300,
    warm: WarmPython | None = None,
) -> Run:
    """Run `python -m <arguments>` and whatever it starts, in a session of their own.

    Args:
        arguments: the module, then its flags.
        folder: working and temporary folder of the job, and place of its log; made if need be.
        kill_when: asked fifty times a second; once it says yes, the job and all that it started
            are killed with SIGKILL.
        environment: environment variables to add.
        timeout: seconds after which the job is killed and the test fails.
        warm: what forks the job, with all imported, in place of a Python that starts anew.
    """
    temporary = folder / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    log = folder / "log.txt"
    began = time.monotonic()
    added = {"TMPDIR": str(temporary), **(environment or {})}
    process = (
        warm.start(arguments, folder, log, added) if warm else _start(arguments, folder, log, added)
    )
    try:
        late = _watch(process, kill_when, began + timeout)
    finally:
        # A job that was killed leaves its workers, as after a power cut; one that ended has
        # a little time to take them along.
        killed = process.poll() is None
        left = {} if killed else _outlived(process.pid)
        while members := _members(process.pid):
            for member in members:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(member, signal.SIGKILL)
            process.poll()
            time.sleep(POLL_SECONDS)
        status = process.wait()
    text = log.read_text(errors="replace")
    assert not late, f"{arguments[0]} took over {timeout} seconds\n{text[-LOG_CHARACTERS:]}"
    return Run(status, text, time.monotonic() - began, tuple(left.values()))


def tree(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file below a folder, by its path from there.

    The two files with times in them are left out: no two runs write the same.
    """
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in TIMED
    }


def _start(
    arguments: Sequence[str], folder: Path, log: Path, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    with log.open("wb") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=folder,
            # Not what is installed: it may be of another folder.
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_hear_sigint,
        )


def _hear_sigint() -> None:
    """Undo what a shell does to what it starts in the background.

    Beam ends an engine with SIGINT; one that does not hear it is killed, and leaves its workers.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _watch(
    process: subprocess.Popen[bytes] | Job,
    kill_when: Callable[[], bool] | None,
    deadline: float,
) -> bool:
    """Wait until the job ends or is to be killed; returns whether it ran out of time."""
    while process.poll() is None:
        if kill_when is not None and kill_when():
            return False
        if time.monotonic() > deadline:
            return True
        time.sleep(POLL_SECONDS)
    return False


def _outlived(session: int) -> dict[int, str]:
    deadline = time.monotonic() + GRACE_SECONDS
    while (members := _members(session)) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return members


def _members(session: int) -> dict[int, str]:
    """Return the command lines of a session's processes; workers in groups of their own count."""
    members = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(ValueError, OSError):
            pid = int(entry.name)
            if os.getsid(pid) == session and (command := (entry / "cmdline").read_bytes()):
                members[pid] = command.replace(b"\0", b" ").decode(errors="replace").strip()
    return members
