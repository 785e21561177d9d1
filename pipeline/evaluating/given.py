"""What captions are judged against: a caption file, or a split of a data set."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence

from pipeline.common.tables import printable
from transforms import annotations, files, text
from transforms.annotations import Annotation
from transforms.candidates import Candidate
from transforms.dataset import REMEDY, Dataset, open_dataset
from transforms.errors import UsageError
from transforms.records import RecordError
from transforms.references import Names
from transforms.rejects import Reject
from transforms.splits import SPLITS


@dataclasses.dataclass(frozen=True)
class Given:
    """Captions that people wrote.

    Attributes:
        annotations: the captions by image, in the order in which they were read.
        malformed: rows that cannot be read.
        tokenizer: that fits them.
        format: of the file; None of a data set.
    """

    annotations: list[Annotation]
    malformed: list[Reject]
    tokenizer: str
    format: str | None


def of_file(path: str, form: str) -> Given:
    """Read a caption file; the script of its first captions says which tokenizer fits.

    Args:
        path: of the file.
        form: its format, or `auto`.

    Raises:
        UsageError: as `annotations.check` does.
    """
    form, head = annotations.check(files.open_read, path, form)
    found: list[Annotation] = []
    malformed: list[Reject] = []
    for item in annotations.read(files.open_read, path, form):
        if isinstance(item, Reject):
            malformed.append(item)
        else:
            found.append(item)
    tokenizer = text.choose_tokenizer(c for item in head for c in item.captions)
    return Given(found, malformed, tokenizer, form)


def of_dataset(folder: str, split: str, judged: Sequence[Candidate]) -> Given:
    """Read the captions of a split of a data set, and its tokenizer.

    What is left of each record is its key and its captions, which copies of the image have as well.
    Other splits are read only where a key could be short for an image of theirs: then their
    annotations come after.

    Args:
        folder: the data set's.
        split: `train`, `dev` or `test`.
        judged: the captions to judge.

    Raises:
        UsageError: no data set, a corrupt one, or one without captions in that split.
    """
    dataset = open_dataset(folder)
    if not dataset.captions(split):
        there = [f"{name} ({dataset.images(name):,})" for name in SPLITS if dataset.captions(name)]
        raise UsageError(
            f"--dataset={folder}: there is no image with captions in its split {split};"
            + (f" it has images in {', '.join(there)}: name another --split," if there else "")
            + " or preprocess images for it"
        )
    try:
        keys, names = {each.key for each in judged}, Names(judged)
        copies = dataset.copies()
        found = list(_annotations(dataset, split, copies, names))
        if any(each.name not in keys and names.find(each.name) for each in found):
            for other in SPLITS:
                if other != split:
                    found.extend(_annotations(dataset, other, copies, names))
    except RecordError as error:
        raise UsageError(f"--dataset={folder}: {error}; {REMEDY} again") from error
    return Given(found, [], dataset.text["tokenizer"], None)


def _annotations(
    dataset: Dataset, split: str, copies: Mapping[str, Sequence[str]], names: Names
) -> Iterator[Annotation]:
    for record in dataset.records(split):
        # A view has the captions of its image, and what a captioner wrote is no reference.
        marks = itertools.chain(record.generated, itertools.repeat(False))
        captions = tuple(c for c, mark in zip(record.captions, marks, strict=False) if not mark)
        if captions and not record.view:
            place = f"{dataset.folder}, {record.key}"
            yield Annotation(record.key, captions, split, place)
            # Several names of a picture may mean one caption: it has its references once.
            meant = set(names.find(record.key))
            for key in copies.get(printable(record.key), ()):
                found = names.find(key)
                if len(found) == 1 and meant.isdisjoint(found):
                    meant.update(found)
                    yield Annotation(key, captions, split, place)
