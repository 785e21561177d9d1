"""Merging the small parts of a captions table, of which every night leaves another one."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby

from pipeline.captioning import parts
from pipeline.captioning.elements import Merged, Part
from pipeline.common import units

# A part is small with less than this share of a unit's images.
SMALL = 0.5


def groups(
    table: Mapping[str, Part], unit_size: int, merge_above: int
) -> Iterator[tuple[tuple[str, Part], ...]]:
    """Yield the parts of a generation that are to become one part each.

    Nothing is yielded until the small parts are more than `merge_above`. Then all of them are
    put together, those of one captioner and policy, until a part is not small any more. Asked
    again about what comes of it, this yields nothing: at most one is left of each kind.

    Args:
        table: the parts by name.
        unit_size: images a unit.
        merge_above: small parts that a table may have.
    """
    small = [item for item in table.items() if _size(item[1]) < SMALL * unit_size]
    if len(small) <= merge_above:
        return
    small.sort(key=lambda item: (_kind(item[1]), item[1].entry["generation"], item[0]))
    for _, alike in groupby(small, key=lambda item: _kind(item[1])):
        group: list[tuple[str, Part]] = []
        for item in alike:
            group.append(item)
            if sum(_size(part) for _, part in group) >= SMALL * unit_size:
                yield tuple(group)
                group = []
        if len(group) > 1:
            yield tuple(group)


def merge(group: Iterable[tuple[str, Part]], output: str, generation: int) -> Merged:
    """Write one part that has all that several have.

    Args:
        group: the parts with their names.
        output: of the job.
        generation: the number of the generation that is being made.
    """
    group = tuple(group)
    rows = [row for _, part in group for row in parts.read(output, part, "data")]
    index = [line for _, part in group for line in parts.read(output, part, "index")]
    names = tuple(name for name, _ in group)
    name = units.digest("merged-1", generation, names)
    facts = {field: group[0][1].entry[field] for field in ("model", "policy")}
    part = parts.write(output, name, rows, index, {**facts, "generation": generation})
    return Merged(name, part, names)


def _size(part: Part) -> int:
    return part.entry["rows"] + part.entry["rejected"]


def _kind(part: Part) -> tuple[str, str]:
    return part.entry["model"], part.entry["policy"]
