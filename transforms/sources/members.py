"""Members of archives: which are images, and which of those are refused."""

import dataclasses
from collections.abc import Iterable, Iterator

from transforms.pickled import Pickled
from transforms.rejects import Reject, RejectCode
from transforms.sources import names
from transforms.sources.reference import ImageRef, SourceError, Span, ZipMember

# Beside the image of a WebDataset sample there is at least one of these.
_COMPANIONS = frozenset({"json", "txt", "cls", "caption", "text"})


@dataclasses.dataclass(frozen=True, slots=True)
class File(Pickled):
    """A file that a listing found, or a folder that it could not list.

    Attributes:
        key: its name, relative to what was listed; empty for an archive that was named itself,
            whose members keep their names.
        uri: where it is read.
        size: bytes, -1 where it has not been looked at.
        modified: seconds since 1970, 0 where the store has none.
        kind: `image`, a kind of archive, or `refused`.
        named: whether somebody named it, so that an archive must hold images.
        refusal: why it is refused, of the kind `refused`.
    """

    key: str
    uri: str
    size: int
    modified: float
    kind: str
    named: bool = False
    refusal: tuple[RejectCode, str] | None = None

    def inside(self, name: str) -> str:
        """Return the key of a member."""
        return f"{self.key}/{name}" if self.key else name

    def reject(self, error: SourceError) -> Reject:
        """Return the reject of the file as a whole."""
        name = self.key or self.uri.rsplit("/", 1)[-1]
        return Reject(name, self.uri, "list", error.code, error.message)


@dataclasses.dataclass(frozen=True)
class Member:
    """A member of an archive, under the name that the archive gives it.

    Attributes:
        name: as the archive says, bytes that are no text as surrogates.
        size: bytes, inflated.
        place: where its bytes are; None where it is refused.
        sha256: hexadecimal, where the archive was inflated to list it.
        refusal: why it is refused.
    """

    name: str
    size: int
    place: Span | ZipMember | None = None
    sha256: str = ""
    refusal: tuple[RejectCode, str] | None = None


def is_wanted(name: str) -> bool:
    """Whether a member is an image by its name, as files of a folder are, read or not."""
    name = name.replace("\\", "/").rstrip("/")
    picture = names.kind_of(name) == names.IMAGE or names.format_refusal(name)
    return bool(picture) and not names.is_hidden(name)


def references(
    archive: File, members: Iterable[Member], companions: Iterable[str] = ()
) -> Iterator[ImageRef | Reject]:
    """Yield the images of an archive, and the rejects of members that look like images.

    Args:
        archive: the archive.
        members: those that `is_wanted`, in their order.
        companions: names of the archive's other members.
    """
    found = [(member.name.removeprefix("./"), member) for member in members]
    # Whoever unpacks an archive keeps the last of several members of one name.
    last = {name: member for name, member in found}
    samples = _samples(companions)
    shown = {_sample(name) for name in last if name.count(".", name.rfind("/") + 1) == 1} & samples
    for name, member in found:
        refusal = member.refusal or names.refusal(name) or names.format_refusal(name)
        if refusal is None and last[name] is not member:
            refusal = (RejectCode.MEMBER_DUPLICATE, "a later member has the same name")
        if refusal is None and _sample(name) in shown and "." in name[len(_sample(name)) + 1 :]:
            message = f"the image of sample {_sample(name)} is another member"
            refusal = (RejectCode.MEMBER_SECONDARY, message)
        uri = f"{archive.uri}#{name}"
        if refusal is not None:
            yield Reject(archive.inside(name), uri, "list", *refusal)
        else:
            yield ImageRef(
                archive.inside(name),
                uri,
                member.size,
                archive.modified,
                member.place,
                member.sha256,
            )


def _sample(name: str) -> str:
    """Return WebDataset's `__key__`: the name up to the first dot after the folders."""
    folder = name.rfind("/") + 1
    dot = name.find(".", folder)
    return name if dot < 0 else name[:dot]


def _samples(companions: Iterable[str]) -> set[str]:
    """Return the keys of the samples that have metadata as WebDataset shards have it."""
    keys = set()
    for name in companions:
        name = name.removeprefix("./")
        key = _sample(name)
        if name[len(key) + 1 :] in _COMPANIONS:
            keys.add(key)
    return keys
