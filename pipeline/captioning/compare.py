"""Comparing what is listed with what is committed: what is to be done, and what stays."""

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam import pvalue

from pipeline.captioning.elements import Entry, Found, Kept
from pipeline.captioning.settings import Settings
from pipeline.common import fingerprints, tables
from transforms.rejects import Reject
from transforms.sources import ImageRef, same_key

# Tags of the outputs.
WORK = "work"
UNREAD = "unread"
KEPT = "kept"
REJECTS = "rejects"
TAGS = (WORK, UNREAD, KEPT, REJECTS)


class Compare(beam.DoFn):
    """Sorts images by what the listing and the table say of them, without reading any.

    Takes (key, {"listed": [ImageRef], "refused": [RejectCode], "committed": [Entry]}), the codes
    being those of images that the listing refuses. Outputs:
        work: (sha256 as bytes, `Found`) of images to caption.
        unread: `Found`, images whose content must be read to decide.
        kept: `Kept`.
        rejects: `Reject`s of listed images.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def process(self, element: tuple[str, dict[str, Iterable[Any]]]) -> Iterator[Any]:
        """Yield what is to become of the images of one key."""
        found = element[1]
        listed: list[ImageRef] = sorted(found["listed"])
        # What is committed goes before what is fresh: it is what an undisturbed run would keep.
        known: tuple[Entry, ...] = tuple(
            sorted(found["committed"], key=lambda entry: (entry.fresh, entry.part))
        )
        for other in listed[1:]:
            yield pvalue.TaggedOutput(REJECTS, same_key(other, listed[0]))
        if not listed:
            if not all(code.retryable for code in found["refused"]):
                # It is there, and no caption can be of what it is now.
                return
            yield from (pvalue.TaggedOutput(KEPT, keep(entry)) for entry in with_rows(known))
            return
        ref = listed[0]
        seen = next((entry for entry in known if unchanged(ref, entry)), None)
        if seen is None or self._settings.recaption == "all":
            yield pvalue.TaggedOutput(UNREAD, (ref, known))
        else:
            yield from settle((ref, known), seen.sha256, self._settings)


class Fingerprint(beam.DoFn):
    """Reads images whose listing does not decide, some at a time; outputs as of `Compare`."""

    def __init__(self, settings: Settings, readers: int) -> None:
        self._settings, self._readers = settings, readers

    def process(self, several: list[Found]) -> Iterator[Any]:
        """Yield what is to become of some images."""
        results = fingerprints.fingerprint_all([ref for ref, _ in several], self._readers)
        for found, result in zip(several, results, strict=True):
            if not isinstance(result, Reject):
                yield from settle(found, result, self._settings)
                continue
            yield pvalue.TaggedOutput(REJECTS, result)
            if result.code.retryable:
                yield from (pvalue.TaggedOutput(KEPT, keep(entry)) for entry in with_rows(found[1]))


def settle(found: Found, sha256: str, settings: Settings) -> Iterator[Any]:
    """Yield what is to become of an image whose content is known."""
    ref, known = found
    entry = next((entry for entry in known if holds(ref, entry, sha256, settings)), None)
    if entry is None:
        yield pvalue.TaggedOutput(WORK, (bytes.fromhex(sha256), found))
        return
    if entry.reject is not None:
        yield pvalue.TaggedOutput(REJECTS, entry.reject)
    yield pvalue.TaggedOutput(KEPT, keep(entry, ref))


def unchanged(ref: ImageRef, entry: Entry) -> bool:
    """Whether the listing shows the image of an entry; never so without a time."""
    seen = (tables.printable(ref.uri), ref.size, ref.modified)
    return seen == (entry.uri, entry.size, entry.modified) and ref.modified != 0


def holds(ref: ImageRef, entry: Entry, sha256: str, settings: Settings) -> bool:
    """Whether an entry is what this run would want of an image."""
    same = (tables.printable(ref.uri), sha256) == (entry.uri, entry.sha256)
    return same and wanted(entry, settings)


def wanted(entry: Entry, settings: Settings) -> bool:
    """Whether an entry is what this run would make of its bytes, or takes in place of that."""
    if entry.reject is not None and not entry.reject.settled(settings.image_seconds):
        return False
    if entry.fresh or settings.recaption == "all":
        return entry.fresh
    if entry.reject is not None:
        return entry.policy == settings.policy()
    return settings.recaption == "never" or entry.model == settings.model()


def with_rows(known: Iterable[Entry]) -> Iterator[Entry]:
    """Yield the entries of images that have a row in the generation that is there."""
    return (entry for entry in known if entry.reject is None and not entry.fresh)


def keep(entry: Entry, ref: ImageRef | None = None) -> Kept:
    """Return that an entry stays, with what the listing says now if it counts as done."""
    size, modified = (entry.size, entry.modified) if ref is None else (ref.size, ref.modified)
    return Kept(entry.part, entry.key, size, modified, counted=ref is not None)
