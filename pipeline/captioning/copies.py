"""New names of bytes that the table knows: they get their rows and rejects from it."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
from apache_beam import pvalue

from pipeline.captioning import compare, parts
from pipeline.captioning.caption_unit import index_line
from pipeline.captioning.elements import Content, Entry, Found, Part, PartReport
from pipeline.captioning.settings import Settings
from pipeline.common import units
from transforms.rejects import Reject
from transforms.sources import ImageRef

COPIES = "copies"


@dataclasses.dataclass(frozen=True, slots=True)
class Copy:
    """An image that gets the row or the reject of another name of its bytes.

    Attributes:
        key: of the committed image.
        sha256: of the bytes of both.
        ref: the image.
        reject: why it has no row; None where it gets one.
    """

    key: str
    sha256: str
    ref: ImageRef
    reject: Reject | None


class Divide(beam.DoFn):
    """Tells contents that are to be captioned from those of which the table knows what comes.

    Takes (sha256, {"known": [Found], "read": [Found], "committed": [Entry]}), the entries being
    `usable`. Outputs:
        contents: `Content`s to caption.
        copies: (name of the part that has the committed image, `Copy`).
        rejects: `Reject`s of images whose bytes were rejected under another name.
    """

    def process(self, element: tuple[bytes, dict[str, Iterable[Any]]]) -> Iterator[Any]:
        """Yield what is to become of the images of one content."""
        sha256, sides = element[0].hex(), element[1]
        found: list[Found] = sorted([*sides["known"], *sides["read"]], key=lambda image: image[0])
        entry = min(sides["committed"], key=_preference, default=None)
        if entry is not None:
            for ref, _ in found:
                reject = entry.reject
                if reject is not None:
                    reject = dataclasses.replace(reject, key=ref.key, uri=ref.uri)
                    yield pvalue.TaggedOutput(compare.REJECTS, reject)
                copy = Copy(entry.key, sha256, ref, reject)
                yield pvalue.TaggedOutput(COPIES, (entry.part, copy))
        elif found:
            yield Content(
                sha256,
                refs=tuple(ref for ref, _ in found),
                replaced=tuple(entry for _, known in found for entry in compare.with_rows(known)),
            )


def usable(entry: Entry, settings: Settings) -> bool:
    """Whether other names of an image's bytes can have what is known of it."""
    # What the decoder says is of the bytes; a damaged archive is of the place.
    placed = entry.reject is not None and entry.reject.stage != "decode"
    return not placed and compare.wanted(entry, settings)


def write(
    element: tuple[str, Iterable[Copy]], base: Mapping[str, Part], output: str, generation: int
) -> PartReport:
    """Write the part of a table that has the rows and rejects of one other part under new names.

    Args:
        element: name of that other part, and what is to be copied.
        base: the parts that there are, by name.
        output: of the job.
        generation: the number of the generation that is being made.
    """
    source, found = element
    copies = sorted(found, key=lambda copy: copy.ref)
    part = base[source]
    captioned = [copy for copy in copies if copy.reject is None]
    wanted = {copy.key for copy in captioned}
    known = parts.read(output, part, "data") if wanted else []
    have = {row["key"]: row for row in known if row["key"] in wanted}
    rows = [{**have[c.key], "key": c.ref.key, "uri": c.ref.uri} for c in captioned]
    index = [index_line(copy.sha256, copy.ref, copy.reject) for copy in copies]
    name = units.digest("copies-1", generation, source, rows, index)
    facts = {field: part.entry[field] for field in ("model", "policy")}
    made = parts.write(output, name, rows, index, {**facts, "generation": generation})
    return PartReport(name, made, done=len(rows))


def _preference(entry: Entry) -> tuple[bool, bool, str, str, str]:
    # A row of a run that accepted what another refused counts as it does for its own name.
    return entry.reject is not None, entry.fresh, entry.key, entry.uri, entry.part
