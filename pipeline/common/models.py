"""Models that a worker process loads once, whatever number of its threads ask."""

import functools
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_LOCK = threading.Lock()


def once(function: Callable[..., T]) -> Callable[..., T]:
    """Cache a model's loader, and let only one thread load at a time.

    Beam sets up a DoFn once for every stage and thread that has it; a model must not be.
    """
    cached = functools.lru_cache(maxsize=1)(function)

    @functools.wraps(function)
    def load(*arguments: object) -> T:
        with _LOCK:
            return cached(*arguments)

    return load
