"""One run at a time on one output.

A run holds its output by a lock: a small file that only one of several runs can create, whose
time it renews while it lives. A run that died leaves its lock behind; the next one recognises
that, by the process that is gone where both are on one machine, else by a time that has not been
renewed for long, nor is while it looks, and takes the lock over.
"""

import contextlib
import dataclasses
import json
import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from transforms import files
from transforms.errors import JobError, UsageError

NAME = ".lock"
BEAT_SECONDS = 20.0
DEAD_SECONDS = 300.0
# In which a run that lives renews its lock, whatever its clock says.
BEATS_TO_WATCH = 3
POLL_SECONDS = 1.0
_FAILED = "the lock cannot be read or written"


@dataclasses.dataclass(frozen=True)
class Owner:
    """Who holds a lock.

    Attributes:
        token: of the run, its own.
        host: name of its machine.
        space: of its process numbers: those of two containers do not compare.
        pid: its process.
        born: when the process began, in the kernel's ticks; a number may be used again.
        started: when the lock was taken, in seconds since 1970.
        beat: when it was last renewed, likewise.
    """

    token: str
    host: str
    space: str
    pid: int
    born: str
    started: float
    beat: float

    @property
    def here(self) -> bool:
        """Whether its process can be looked for."""
        return (self.host, self.space) == (socket.gethostname(), _space())

    def dead(self, now: float) -> bool:
        """Whether the run is over; of one elsewhere, whether it looks so if the clocks agree."""
        if self.here:
            return _born(self.pid) != self.born
        return now - self.beat > DEAD_SECONDS

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self.started))
        return f"process {self.pid} on {self.host}, since {since}"


@dataclasses.dataclass(frozen=True)
class Hold:
    """That a run holds an output, in a form that goes to the machine that commits it.

    Attributes:
        output: the job's.
        token: of the lock; empty where none is kept.
    """

    output: str
    token: str = ""

    def stands(self) -> bool:
        """Whether the lock still is this run's."""
        return self._token() == self.token

    def check(self) -> None:
        """Raise JobError if another run has the output, or may have it any time."""
        token = self._token()
        if token is None:
            raise JobError(
                f"{self.output}: the command that started this run has ended and given the lock"
                " back; run it again, and it continues where this one stopped"
            )
        if token != self.token:
            raise JobError(_lost(self.output))

    def _token(self) -> str | None:
        """Return that of the lock that is there, None for none."""
        store = _store(self.output) if self.token else None
        if store is None:
            return self.token
        found = store.read()
        return None if found is None else found[0].token


class Store(Protocol):
    """Where a lock lies. `version` changes with every write."""

    def read(self) -> tuple[Owner, Any] | None:
        """Return who holds the lock, and the version of the file; None if nobody does."""

    def write(self, owner: Owner, version: Any) -> bool:
        """Write if the version is still that one, None for no file; returns whether it was."""

    def remove(self, version: Any) -> None:
        """Remove the file if the version is still that one."""


@contextlib.contextmanager
def held(
    output: str,
    wait_seconds: float = 0,
    end: Callable[[], None] = lambda: None,
    *,
    watch: bool = True,
) -> Iterator[Hold]:
    """Hold the lock of an output while the block runs.

    Args:
        output: the job's; a local folder is made if it is not there.
        wait_seconds: how long to wait for another run to end.
        end: called by another thread if the lock is lost, to raise KeyboardInterrupt in this one.
        watch: take the time to see whether a run elsewhere is dead that looks so; without it,
            such a run counts as alive.

    Raises:
        JobError: another run holds it and did not end in time, or took it over while this one
            was stopped.
        UsageError: it is in a bucket that does not exist.
    """
    store = _store(output)
    if store is None:
        print(f"{output}: no lock is kept in this kind of store", file=sys.stderr)
        yield Hold(output)
        return
    owner = _take(store, output, wait_seconds, watch)
    done, lost = threading.Event(), threading.Event()

    def lose() -> None:
        lost.set()
        end()

    beat = threading.Thread(target=_beat, args=(store, owner, done, lose), daemon=True)
    beat.start()
    try:
        try:
            yield Hold(output, owner.token)
        finally:
            done.set()
            beat.join()
            _give_back(store, owner, output)
    except KeyboardInterrupt:
        if not lost.is_set():
            raise
    if lost.is_set():
        raise JobError(_lost(output))


def _give_back(store: Store, owner: Owner, output: str) -> None:
    try:
        found = store.read()
        if found is not None and found[0].token == owner.token:
            store.remove(found[1])
    except OSError as error:
        # How the run ended is more to tell, and the lock of one that is over keeps nobody.
        print(f"{output}: the lock is not given back: {error}", file=sys.stderr)


def _lost(output: str) -> str:
    return f"{output}: another run took the output over while this one was stopped"


def _take(store: Store, output: str, wait_seconds: float, watch: bool = True) -> Owner:
    deadline = time.monotonic() + wait_seconds
    token = uuid.uuid4().hex
    told = False
    while True:
        now = time.time()
        owner = Owner(
            token,
            socket.gethostname(),
            _space(),
            os.getpid(),
            _born(os.getpid()),
            now,
            now,
        )
        found = store.read()
        if found is not None and found[0].token == token:
            # It was written, the answer got lost, and the client tried again.
            return found[0]
        if found is None or (
            found[0].dead(now) and not _may_live(store, output, *found, watch=watch)
        ):
            if store.write(owner, None if found is None else found[1]):
                if found is not None:
                    print(f"{output}: took over from a dead run ({found[0]})", file=sys.stderr)
                return owner
            continue
        if time.monotonic() >= deadline:
            raise JobError(
                f"{output}: another run is at work on it ({found[0]}); run this one later, or let"
                " it wait with --wait_for_lock=SECONDS"
            )
        if not told:
            print(f"{output}: waiting for another run ({found[0]})", file=sys.stderr)
            told = True
        time.sleep(min(POLL_SECONDS, max(0.0, deadline - time.monotonic())))


def _may_live(store: Store, output: str, owner: Owner, version: Any, *, watch: bool) -> bool:
    """Whether the run of a lock that looks dead may live: of one elsewhere, as clocks differ."""
    if owner.here:
        return False
    if not watch:
        return True
    seconds = BEATS_TO_WATCH * BEAT_SECONDS
    print(f"{output}: watching for {seconds:g} s whether a run lives ({owner})", file=sys.stderr)
    time.sleep(seconds)
    found = store.read()
    return found is not None and found[1] != version


def _beat(store: Store, owner: Owner, done: threading.Event, lose: Callable[[], None]) -> None:
    while not done.wait(BEAT_SECONDS):
        # A store that does not answer now may answer at the next beat, whatever it says now.
        with contextlib.suppress(Exception):
            found = store.read()
            if found is None or found[0].token != owner.token:
                lose()
                return
            store.write(dataclasses.replace(owner, beat=time.time()), found[1])


def _store(output: str) -> Store | None:
    if not files.is_remote(output):
        return _Folder(Path(output))
    return _Bucket(output) if output.startswith("gs://") else None


class _Folder:
    """A lock on a local disk or a network file system."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / NAME

    def read(self) -> tuple[Owner, bytes] | None:
        try:
            content = self._path.read_bytes()
            written = self._path.stat().st_mtime
        except FileNotFoundError:
            return None
        return _parse(content, written), content

    def write(self, owner: Owner, version: bytes | None) -> bool:
        self._folder.mkdir(parents=True, exist_ok=True)
        data = json.dumps(dataclasses.asdict(owner)).encode()
        if version is None:
            return self._create(data)
        temporary = self._folder / f"{files.TEMPORARY_PREFIX}{uuid.uuid4().hex}"
        try:
            temporary.write_bytes(data)
            with self._guarded():
                if not self._is(version):
                    return False
                temporary.replace(self._path)
                return True
        finally:
            temporary.unlink(missing_ok=True)

    def remove(self, version: bytes) -> None:
        with self._guarded():
            if self._is(version):
                self._path.unlink(missing_ok=True)

    def _create(self, data: bytes) -> bool:
        try:
            stream = self._path.open("xb")
        except FileExistsError:
            return False
        try:
            with stream:
                stream.write(data)
        except BaseException:
            # A full disk takes the name and not the content: a lock of nobody known.
            self._path.unlink(missing_ok=True)
            raise
        return True

    def _is(self, version: bytes) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return self._path.read_bytes() == version
        return False

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """Keep others from replacing the file between a look at it and its replacement."""
        import fcntl

        folder = os.open(self._folder, os.O_RDONLY)
        try:
            # Some file systems know no such locks: then two takeovers in one instant may clash.
            with contextlib.suppress(OSError):
                fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)


class _Bucket:
    """A lock in Google Cloud Storage, which writes only if an object's generation is as said."""

    def __init__(self, output: str) -> None:
        import google.cloud.storage as storage

        bucket, _, folder = output.removeprefix("gs://").partition("/")
        self._name = f"{folder.rstrip('/')}/{NAME}".lstrip("/")
        # Objects need no project, and not every worker knows one.
        self._bucket = _translated(lambda: storage.Client(project=None)).bucket(bucket)

    def read(self) -> tuple[Owner, int] | None:
        blob = _translated(lambda: self._bucket.get_blob(self._name))
        if blob is None:
            return None
        from google.api_core import exceptions

        # Taken now: reading the content may forget it.
        generation, written = blob.generation, blob.updated.timestamp()
        try:
            content = _translated(lambda: blob.download_as_bytes(if_generation_match=generation))
        except (exceptions.NotFound, exceptions.PreconditionFailed):
            return self.read()
        return _parse(content, written), generation

    def write(self, owner: Owner, version: int | None) -> bool:
        from google.api_core import exceptions

        data = json.dumps(dataclasses.asdict(owner))
        blob = self._bucket.blob(self._name)
        try:
            _translated(
                lambda: blob.upload_from_string(
                    data, "application/json", if_generation_match=version or 0
                )
            )
        except exceptions.PreconditionFailed:
            return False
        except exceptions.NotFound as error:
            if version is not None:
                return False  # The lock is gone that was there.
            if self._exists():
                raise OSError(f"{_FAILED}: {error}") from error
            raise UsageError(
                f"there is no bucket {self._bucket.name}: make it, or correct its name"
            ) from error
        return True

    def _exists(self) -> bool:
        """Whether the bucket is there: by a listing, which takes no right to see the bucket."""
        from google.api_core import exceptions

        try:
            _translated(lambda: list(self._bucket.list_blobs(prefix=self._name, max_results=1)))
        except exceptions.NotFound:
            return False
        return True

    def remove(self, version: int) -> None:
        from google.api_core import exceptions

        with contextlib.suppress(exceptions.PreconditionFailed, exceptions.NotFound):
            _translated(lambda: self._bucket.blob(self._name).delete(if_generation_match=version))


def _translated(action: Callable[[], Any]) -> Any:
    """Call the store; its errors become OSError, but for those that tell of another version."""
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError

    try:
        return action()
    except (exceptions.PreconditionFailed, exceptions.NotFound):
        raise
    except (exceptions.GoogleAPIError, GoogleAuthError) as error:
        raise OSError(f"{_FAILED}: {error}") from error


def _parse(content: bytes, written: float) -> Owner:
    """Return the owner that a lock names; a torn lock is one of nobody known."""
    try:
        return Owner(**json.loads(content))
    except (ValueError, TypeError):
        return Owner("", "an unknown machine", "", 0, "", written, written)


def _space() -> str:
    """Return what tells apart the process numbers of containers and of a restarted machine."""
    parts = []
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    with contextlib.suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(parts)


def _born(pid: int) -> str:
    """Return when a living process began, in a form to compare; empty if there is none."""
    try:
        # The second field is the name in brackets and may have blanks.
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        if Path("/proc/self/stat").exists():
            return ""
        return _alive(pid)
    return "" if fields[0] in "ZX" else fields[19]


def _alive(pid: int) -> str:
    """The same where there is no /proc: no more than whether it lives."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        return "alive"
    return "alive"
