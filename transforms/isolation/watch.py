"""Noticing an image that takes too long to decode in this very process.

It costs an image two entries in a dictionary. Nothing can end the decoder here: whoever notices
begins anew in a child process, and the thread is left to itself until this process ends.
"""

import threading
import time
from typing import Protocol

from transforms import images
from transforms.stored import Form


class Decoder(Protocol):
    """What decodes images for somebody who waits for them."""

    def decode(self, data: bytes, form: Form | None, limits: images.Limits) -> images.Picture:
        """Decode as `images.decode` does."""

    def check(self) -> None:
        """Raise OverdueError if an image has been in work for too long."""


class OverdueError(Exception):
    """An image has been in the decoder for longer than it may."""


class WatchedDecoder:
    """`images.decode`, which several threads may call, with an eye on the time that it takes."""

    def __init__(self, seconds: float) -> None:
        """Prepare.

        Args:
            seconds: time that an image may take.
        """
        self._seconds = seconds
        self._began: dict[int, float] = {}

    def decode(self, data: bytes, form: Form | None, limits: images.Limits) -> images.Picture:
        """Decode as `images.decode` does, and raise what it raises."""
        thread = threading.get_ident()
        self._began[thread] = time.monotonic()
        try:
            return images.decode(data, form, limits)
        finally:
            del self._began[thread]

    def check(self) -> None:
        """Raise OverdueError if an image has been in work for too long."""
        late = time.monotonic() - self._seconds
        if any(began < late for began in list(self._began.values())):
            raise OverdueError(f"an image is not decoded after {self._seconds:g} seconds")
