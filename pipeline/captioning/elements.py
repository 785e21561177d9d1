"""What travels through the graph of the captioning job."""

import dataclasses
from typing import Any

from transforms.pickled import Pickled
from transforms.rejects import Reject
from transforms.sources import ImageRef


@dataclasses.dataclass(frozen=True, slots=True)
class Entry(Pickled):
    """What an earlier run committed or finished of an image: a line of a part's index.

    Attributes:
        key: the image's key.
        uri: where it was read.
        size: bytes, as the listing said.
        modified: as the listing said, in seconds since 1970; 0 where the store has none.
        sha256: of its bytes.
        part: the part of the table that has its row or its reject.
        model: digest of the captioner and the search that made its row.
        policy: digest of what decided which images are refused.
        reject: why it has no row; None where it has one.
        fresh: whether it is of no generation yet: an interrupted run has finished it for the one
            that is being made.
    """

    key: str
    uri: str
    size: int
    modified: float
    sha256: str
    part: str
    model: str
    policy: str
    reject: Reject | None
    fresh: bool = False


@dataclasses.dataclass(frozen=True, order=True, slots=True)
class Kept(Pickled):
    """An image whose line and row stay as an earlier run wrote them.

    Attributes:
        part: the part of the table that has them.
        key: the image's.
        size: bytes, as the listing says now.
        modified: as the listing says now.
        counted: whether it is one of the listed images that count as already done; not so where
            it has vanished, or where this run rejects it.
    """

    part: str
    key: str
    size: int
    modified: float
    counted: bool


# A listed image, with what is known of its key: what is committed, then what an interrupted run
# has finished. A tuple, which runners pickle in fewer bytes than any class.
Found = tuple[ImageRef, tuple[Entry, ...]]


@dataclasses.dataclass(frozen=True, slots=True)
class Content(Pickled):
    """The bytes of an image, under all the names that they have.

    Attributes:
        sha256: of the bytes.
        refs: the names.
        replaced: what has a row by those names, and keeps it if they cannot be read after all.
    """

    sha256: str
    refs: tuple[ImageRef, ...]
    replaced: tuple[Entry, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Unit:
    """Images that are captioned in one call and written to one file."""

    contents: tuple[Content, ...]


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of the table: some of its rows, and the index of what they were made from.

    Attributes:
        entry: what the manifest says of it.
        files: the facts of its files.
    """

    entry: dict[str, Any]
    files: dict[str, dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class PartReport:
    """A part that a run makes of what the generation before has, or an interrupted run left.

    Attributes:
        name: the part's.
        part: what becomes of it.
        committed: listed images among its rows, already committed.
        others: rows of images that have vanished or that this run rejects for now.
        done: listed images that got their rows in this run, copies of rows that were there.
        resumed: listed images that an interrupted run gave their rows.
    """

    name: str
    part: Part
    committed: int = 0
    others: int = 0
    done: int = 0
    resumed: int = 0


@dataclasses.dataclass(frozen=True)
class Merged:
    """A part that takes the place of several.

    Attributes:
        name: the part's.
        part: it.
        replaced: the names of those that it was made from.
    """

    name: str
    part: Part
    replaced: tuple[str, ...]
