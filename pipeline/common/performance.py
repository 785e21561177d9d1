"""What shapes the speed of a job and not its result."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Performance:
    """What shapes the speed of a job and not its result.

    Attributes:
        readers: threads that read and decode.
        image_seconds: time an image may take to be decoded.
    """

    readers: int
    image_seconds: float
