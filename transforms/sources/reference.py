"""References to images: everything about one but its bytes."""

import dataclasses

from transforms.pickled import Pickled
from transforms.rejects import Reject, RejectCode

# Images of a compressed archive that one unit of work may hold: reading them means inflating
# the archive from its start, so they stay together, but a unit must fit in memory.
PART_SIZE = 10_000
MAX_BYTES = 256 * 2**20


class SourceError(Exception):
    """An image or an archive that cannot be used, with the code that says why."""

    def __init__(self, code: RejectCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclasses.dataclass(frozen=True, slots=True)
class Span(Pickled):
    """Bytes of an archive that are the image file as it was.

    Attributes:
        archive: path of the archive.
        offset: of the first byte; with a codec, in what the archive inflates to.
        codec: what the whole archive is compressed with: `gz`, `bz2`, `xz`, or nothing.
        part: number of the run of images that are read in one pass; 0 without a codec.
    """

    archive: str
    offset: int
    codec: str = ""
    part: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class ZipMember(Pickled):
    """A member of a zip: offset of its local header, stored bytes, method and checksum."""

    archive: str
    offset: int
    stored: int
    method: int
    crc: int


@dataclasses.dataclass(frozen=True, slots=True)
class Cell(Pickled):
    """A value of a Parquet file: its column, its row group and the row within that."""

    archive: str
    column: str
    group: int
    row: int


@dataclasses.dataclass(frozen=True, order=True, slots=True)
class ImageRef(Pickled):
    """A reference to an image.

    Attributes:
        key: the image's name, relative to the folder that was listed, with forward slashes.
        uri: where it is read, and no other image is.
        size: bytes, as the listing says.
        modified: seconds since 1970, of the archive for a member, 0 where the store has none.
        place: where its bytes are in an archive; None for a file of its own.
        sha256: hexadecimal, where listing had to read the image anyway.
    """

    key: str
    uri: str
    size: int
    modified: float
    # A URI stands for one image, so these do not take part in comparisons.
    place: Span | ZipMember | Cell | None = dataclasses.field(default=None, compare=False)
    sha256: str = dataclasses.field(default="", compare=False)

    @property
    def stream(self) -> tuple[str, int] | None:
        """What is read from its start to reach the image; None where it is read by itself."""
        if isinstance(self.place, Cell):
            return self.place.archive, self.place.group
        if isinstance(self.place, Span) and self.place.codec:
            return self.place.archive, self.place.part
        return None

    @property
    def position(self) -> int:
        """Where in its stream the image is; a stream is read by rising positions."""
        if isinstance(self.place, Cell):
            return self.place.row
        return self.place.offset if self.place else 0


def same_key(ref: ImageRef, other: ImageRef) -> Reject:
    """Return the reject of an image whose key another has: a table has one row a key.

    Lists name such images, as what leads out of their folder is left out of keys; and tables have
    them, where a row is called like the number of another, which has no name.
    """
    if ref.place and other.place and ref.place.archive == other.place.archive:
        remedy = f"give each image in {ref.place.archive} a name of its own"
    else:
        remedy = (
            "write both paths in full and without `..` in the list, or name the two in lists of"
            " their own"
        )
    message = f"{other.uri} has the same key: {remedy}"
    return Reject(ref.key, ref.uri, "list", RejectCode.IMAGE_AMBIGUOUS, message)
