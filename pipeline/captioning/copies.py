"""New names of bytes that are captioned already: they get their rows from the table."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
from apache_beam import pvalue

from pipeline.captioning import parts
from pipeline.captioning.caption_unit import index_line
from pipeline.captioning.elements import Content, Entry, Found, Part, PartReport
from pipeline.captioning.settings import Settings
from pipeline.common import units
from transforms.sources import ImageRef

COPIES = "copies"


@dataclasses.dataclass(frozen=True, slots=True)
class Copy:
    """An image that gets the row of another name of its bytes.

    Attributes:
        key: of the committed image that has the row.
        sha256: of the bytes of both.
        ref: the image.
    """

    key: str
    sha256: str
    ref: ImageRef


class Divide(beam.DoFn):
    """Tells contents that are to be captioned from those whose caption is in the table.

    Takes (sha256, {"work": [Found], "committed": [Entry]}), the entries being `usable`. Outputs:
        contents: `Content`s to caption.
        copies: (name of the part that has the row, `Copy`).
    """

    def process(self, element: tuple[str, dict[str, Iterable[Any]]]) -> Iterator[Any]:
        """Yield what is to become of the images of one content."""
        sha256, sides = element
        found: list[Found] = sorted(sides["work"], key=lambda image: image.ref)
        entry = min(sides["committed"], key=lambda entry: (entry.key, entry.uri), default=None)
        if entry is not None:
            for image in found:
                copy = Copy(entry.key, sha256, image.ref)
                yield pvalue.TaggedOutput(COPIES, (entry.part, copy))
        elif found:
            yield Content(
                sha256,
                refs=tuple(image.ref for image in found),
                replaced=tuple(image.entry for image in found if image.entry is not None),
            )


def usable(entry: Entry, settings: Settings) -> bool:
    """Whether the row of a committed image is what this run would write for its bytes."""
    if entry.reject is not None or settings.recaption == "all":
        return False
    return settings.recaption == "never" or entry.model == settings.model()


def write(
    element: tuple[str, Iterable[Copy]], base: Mapping[str, Part], output: str, generation: int
) -> PartReport:
    """Write the part of a table that has the rows of one other part under new names.

    Args:
        element: name of the part that has the rows, and what is to be copied.
        base: the parts of the generation before, by name.
        output: of the job.
        generation: the number of the generation that is being made.
    """
    source, found = element
    copies = sorted(found, key=lambda copy: copy.ref)
    entry = base[source].entry
    wanted = {copy.key for copy in copies}
    have = {row["key"]: row for row in parts.read(output, entry["data"]) if row["key"] in wanted}
    rows = [{**have[c.key], "key": c.ref.key, "uri": c.ref.uri} for c in copies]
    index = [index_line(copy.sha256, copy.ref) for copy in copies]
    name = units.digest("copies-1", generation, source, rows, index)
    facts = {field: entry[field] for field in ("model", "policy")}
    part = parts.write(output, name, rows, index, {**facts, "generation": generation})
    return PartReport(name, part, done=len(rows))
