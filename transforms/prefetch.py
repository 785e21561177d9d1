"""Reading ahead with threads, in order and with bounded memory."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from itertools import islice
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

SECONDS_BETWEEN_CHECKS = 0.5


def ordered_map(
    function: Callable[[T], R],
    items: Iterable[T],
    threads: int,
    ahead: int,
    check: Callable[[], None] = lambda: None,
    room: Callable[[], bool] = lambda: True,
) -> Iterator[R]:
    """Yield `function(item)` in the order of the items, computed ahead by threads.

    Args:
        function: called in a thread; an exception is raised where its result would be yielded.
        items: consumed as results are taken.
        threads: how many calls run at once.
        ahead: results that may be waiting or in work, the bound on memory.
        check: called now and then while a result is waited for. What it raises is raised here,
            and calls that are at work are left alone: they may never end.
        room: asked whether to take another item while results are waiting or in work; a bound on
            memory for items of very different sizes.
    """
    source = iter(items)
    todo: SimpleQueue[tuple[Future[R], T] | None] = SimpleQueue()

    def submit(item: T) -> Future[R]:
        future: Future[R] = Future()
        todo.put((future, item))
        return future

    def work() -> None:
        while (task := todo.get()) is not None:
            future, item = task
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function(item))
                except BaseException as error:
                    future.set_exception(error)
            # An item may be large, and the next one long in coming.
            del future, item, task

    # Not a ThreadPoolExecutor: at the end of a process, Python waits for its threads.
    workers = [
        threading.Thread(target=work, name=f"reader-{number}", daemon=True)
        for number in range(threads)
    ]
    for worker in workers:
        worker.start()
    pending: deque[Future[R]] = deque()
    stuck = False

    def fill() -> None:
        while len(pending) < ahead and (not pending or room()):
            if not (taken := [submit(item) for item in islice(source, 1)]):
                return
            pending.extend(taken)

    try:
        fill()
        while pending:
            future = pending.popleft()
            while not future.done():
                try:
                    future.exception(SECONDS_BETWEEN_CHECKS)
                except TimeoutError:
                    stuck = True
                    check()
                    stuck = False
            fill()
            yield future.result()
    finally:
        for future in pending:
            future.cancel()
        for _ in workers:
            todo.put(None)
        if not stuck:
            for worker in workers:
                worker.join()
