"""Reading ahead with threads, in order and with bounded memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ordered_map(
    function: Callable[[T], R], items: Iterable[T], threads: int, ahead: int
) -> Iterator[R]:
    """Yield `function(item)` in the order of the items, computed ahead by threads.

    Args:
        function: called in a thread; an exception is raised where its result would be yielded.
        items: consumed as results are taken.
        threads: how many calls run at once.
        ahead: results that may be waiting or in work, the bound on memory.
    """
    source = iter(items)
    with ThreadPoolExecutor(threads, thread_name_prefix="reader") as pool:
        pending: deque[Future[R]] = deque(
            pool.submit(function, item) for item in islice(source, ahead)
        )
        try:
            while pending:
                result = pending.popleft().result()
                for item in islice(source, 1):
                    pending.append(pool.submit(function, item))
                yield result
        finally:
            for future in pending:
                future.cancel()
