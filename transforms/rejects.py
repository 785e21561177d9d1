"""Why an input was left out: the codes, and the row that records one."""

import dataclasses
import enum


class RejectCode(enum.StrEnum):
    """Every reason for which an input becomes a row in the rejects."""

    # The image file.
    IMAGE_MISSING = "image_missing"
    IMAGE_UNREADABLE = "image_unreadable"
    IMAGE_CHANGED = "image_changed"
    IMAGE_NOT_FETCHED = "image_not_fetched"
    IMAGE_EMPTY = "image_empty"
    IMAGE_TOO_MANY_BYTES = "image_too_many_bytes"
    IMAGE_NOT_AN_IMAGE = "image_not_an_image"
    IMAGE_FORMAT_UNSUPPORTED = "image_format_unsupported"
    IMAGE_TOO_MANY_PIXELS = "image_too_many_pixels"
    IMAGE_TRUNCATED = "image_truncated"
    IMAGE_CORRUPT = "image_corrupt"
    DECODER_CRASHED = "decoder_crashed"
    DECODER_TIMEOUT = "decoder_timeout"
    # The archive that holds the image.
    ARCHIVE_CORRUPT = "archive_corrupt"
    ARCHIVE_BOMB = "archive_bomb"
    ARCHIVE_UNSUPPORTED = "archive_unsupported"
    MEMBER_CORRUPT = "member_corrupt"
    MEMBER_DUPLICATE = "member_duplicate"
    MEMBER_ENCRYPTED = "member_encrypted"
    MEMBER_NAME_INVALID = "member_name_invalid"
    MEMBER_NOT_A_FILE = "member_not_a_file"
    MEMBER_SECONDARY = "member_secondary"
    MEMBER_UNSAFE = "member_unsafe"
    MEMBER_UNSUPPORTED = "member_unsupported"
    # The captions.
    CAPTION_MISSING = "caption_missing"
    CAPTION_EMPTY = "caption_empty"
    CAPTION_MALFORMED = "caption_malformed"
    IMAGE_AMBIGUOUS = "image_ambiguous"
    # The split.
    SPLIT_MISSING = "split_missing"

    @property
    def retryable(self) -> bool:
        """Whether the same input may succeed in a later run, unchanged."""
        return self in _RETRYABLE


_RETRYABLE = frozenset(
    {RejectCode.IMAGE_MISSING, RejectCode.IMAGE_UNREADABLE, RejectCode.IMAGE_CHANGED}
)


def unsupported(format_name: str) -> str:
    """Return the message of a picture in a format that is not read."""
    return f"{format_name} is not read: convert it to JPEG or PNG"


@dataclasses.dataclass(frozen=True, order=True, slots=True)
class Reject:
    """One row of `rejects.parquet`.

    Attributes:
        key: the image's key, or the name an annotation gave it.
        uri: where the input was found or expected.
        stage: the step that refused it: `list`, `join`, `split`, `read`, `decode` or `text`.
        code: the reason.
        message: one line for a person, without the reason's code.
        seconds: that the decoder was given, of a `decoder_timeout`.
    """

    key: str
    uri: str
    stage: str
    code: RejectCode
    message: str
    seconds: float = 0.0

    def settled(self, image_seconds: float) -> bool:
        """Whether a run that gives the decoder so many seconds is to refuse the same input too."""
        if self.code is RejectCode.DECODER_TIMEOUT:
            return self.seconds >= image_seconds
        return not self.code.retryable

    def row(self) -> dict[str, str | bool]:
        """Return the reject as a Parquet row."""
        return {
            "key": self.key,
            "uri": self.uri,
            "stage": self.stage,
            "code": self.code.value,
            "message": self.message,
            "retryable": self.code.retryable,
        }
