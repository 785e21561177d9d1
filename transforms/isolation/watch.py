"""Noticing an image that takes too long to decode in this very process.

It costs an image two entries in a dictionary. Nothing can end the decoder here: whoever notices
begins anew in a child process, and the thread is left to itself until this process ends.
"""

import threading
import time
from typing import Protocol

from transforms import images
from transforms.stored import Stored


class Decode(Protocol):
    """What decodes as `images.decode` does."""

    def __call__(
        self,
        data: bytes,
        size: tuple[int, int] | None,
        limits: images.Limits,
        like: Stored | None = None,
    ) -> images.Picture: ...


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

    def __call__(
        self,
        data: bytes,
        size: tuple[int, int] | None,
        limits: images.Limits,
        like: Stored | None = None,
    ) -> images.Picture:
        """Decode as `images.decode` does, and raise what it raises."""
        thread = threading.get_ident()
        self._began[thread] = time.monotonic()
        try:
            return images.decode(data, size, limits, like)
        finally:
            del self._began[thread]

    def check(self) -> None:
        """Raise OverdueError if an image has been in work for too long."""
        late = time.monotonic() - self._seconds
        if any(began < late for began in list(self._began.values())):
            raise OverdueError(f"an image is not decoded after {self._seconds:g} seconds")


class _Around(WatchedDecoder):
    def __init__(self, watched: WatchedDecoder, function: Decode) -> None:
        self._watched = watched
        self._function = function

    def __call__(
        self,
        data: bytes,
        size: tuple[int, int] | None,
        limits: images.Limits,
        like: Stored | None = None,
    ) -> images.Picture:
        return self._function(data, size, limits, like)

    def check(self) -> None:
        self._watched.check()


def around(decode: Decode, function: Decode) -> Decode:
    """Return a function that calls a decoder, watched if the decoder is."""
    return _Around(decode, function) if isinstance(decode, WatchedDecoder) else function
