"""Work units: how references are grouped, named, and remembered as done.

A unit is about a thousand images, processed in one call and written to one file, whose name
is made from everything that shapes its bytes. A unit with that name in the journal is done,
whoever did it and whenever: the one rule that gives resume after a kill, harmless retries and
the same bytes with any number of workers.
"""

import contextlib
import dataclasses
import hashlib
import json
import logging
import math
import posixpath
from collections.abc import Callable, Iterable
from typing import Any

from transforms import files
from transforms.isolation import OverdueError
from transforms.rejects import Reject, RejectCode
from transforms.stored import Stored

JOURNAL = "units"
ENTRY = ".json"
STARTED = ".started"
DIGEST_CHARACTERS = 32


@dataclasses.dataclass(frozen=True)
class UnitReport:
    """What a unit did.

    Attributes:
        group: the split, or another name of what the file belongs to.
        file: path of the data file, relative to the output; empty where every image failed.
        facts: records, bytes and sha256 of the data file; where a unit has several, `files` has
            those of each by its path.
        images: images it holds.
        captions: captions it holds.
        rejects: what it refused.
        rejected: images among them.
        lost: captions that fell with its rejected images, or alone.
        stored: how some of its images were stored, None for each that is no JPEG.
    """

    group: str
    file: str
    facts: dict[str, Any]
    images: int
    captions: int
    rejects: tuple[Reject, ...] = ()
    rejected: int = 0
    lost: int = 0
    stored: tuple[Stored | None, ...] = ()


def digest(*parts: Any) -> str:
    """Return a name made from JSON-able parts, the same for the same parts."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_CHARACTERS]


def attempt(name: str, rejects: Iterable[Reject]) -> str:
    """Return the name of what one attempt at a unit wrote.

    It is another than the unit's where another attempt may get images that this one did not: what
    is finished names this one's files, and stays whole until that attempt has come to its end.
    """
    missing = sorted(reject.uri for reject in rejects if not reject.settled(math.inf))
    return digest(name, missing) if missing else name


def bucket(identity: str, total: int, unit_size: int) -> int:
    """Return the unit that an image falls into: a hash, so any worker finds the same one.

    Args:
        identity: hexadecimal sha256 of the image's bytes.
        total: images to be divided.
        unit_size: images a unit, about.
    """
    return int(identity[:15], 16) % max(1, math.ceil(total / unit_size))


def once(
    output: str, name: str, work: Callable[[bool], UnitReport], image_seconds: float
) -> tuple[UnitReport, bool]:
    """Do a unit's work unless the journal knows its report.

    A marker in the journal stands for a unit in work. Whoever finds one already there knows that
    an attempt never ended: its process died, perhaps of an image that crashes the decoder. An
    attempt that finds an image to be overdue is followed by a careful one at once.

    Args:
        output: the job's output.
        name: the unit's.
        work: does it, and is told whether to do it carefully.
        image_seconds: time that it gives an image to be decoded.

    Returns:
        The report, and whether it is of an earlier run.

    Raises:
        OSError: what `work` raises, or the journal cannot be written.
    """
    if (report := recall(output, name, image_seconds)) is not None:
        return report, True
    marker = files.join(output, JOURNAL, name + STARTED)
    careful = files.exists(marker)
    if not careful:
        # Not empty: Beam's client of S3 writes no empty objects.
        files.write_bytes(marker, b"\n")
    try:
        try:
            report = work(careful)
        except OverdueError as overdue:
            logging.warning("%s: its unit begins anew in a child process", overdue)
            report = work(True)
        remember(output, name, report)
    except BaseException:
        # This process lives, so no image is suspect that was not before.
        if not careful:
            files.delete(marker)
        raise
    files.delete(marker)
    return report, False


def recall(output: str, name: str, image_seconds: float) -> UnitReport | None:
    """Return what the journal says of a unit, None if it is to be done.

    A unit is done if its journal entry and its files are there, and none of its rejects is worth
    another try that gives an image so many seconds to be decoded.
    """
    report = recorded(output, name)
    if report is None or not all(reject.settled(image_seconds) for reject in report.rejects):
        return None
    return report


def recorded(output: str, name: str) -> UnitReport | None:
    """Return what the journal says of a unit, None unless its files are there and whole."""
    try:
        entry = json.loads(files.read_bytes(_journal_path(output, name)))
    except (OSError, ValueError):
        return None
    entry["rejects"] = tuple(
        Reject(**{**reject, "code": RejectCode(reject["code"])}) for reject in entry["rejects"]
    )
    entry["stored"] = tuple(each and Stored(**each) for each in entry.get("stored", ()))
    report = UnitReport(**entry)
    whole = all(
        _size(files.join(output, file)) == facts["bytes"] for file, facts in _files(report).items()
    )
    return report if whole else None


def names(output: str, prefix: str) -> list[str]:
    """Return the names of the journal's units that begin with a prefix, sorted."""
    found = []
    # Of a first run there is no journal yet.
    with contextlib.suppress(FileNotFoundError):
        for info in files.list_files(files.join(output, JOURNAL)):
            name, suffix = posixpath.splitext(posixpath.basename(info.path))
            if name.startswith(prefix) and suffix == ENTRY:
                found.append(name)
    return sorted(found)


def remember(output: str, name: str, report: UnitReport) -> None:
    """Enter a unit into the journal, after its data file has been written."""
    files.write_json(_journal_path(output, name), dataclasses.asdict(report))


def _journal_path(output: str, name: str) -> str:
    return files.join(output, JOURNAL, name + ENTRY)


def _files(report: UnitReport) -> dict[str, dict[str, Any]]:
    alone = {report.file: report.facts} if report.file else {}
    return report.facts.get("files", alone)


def _size(path: str) -> int | None:
    with contextlib.suppress(FileNotFoundError):
        return files.stat(path).size
    return None
