"""Reading ahead."""

import threading
import time
from collections.abc import Iterator

import pytest

from transforms.prefetch import ordered_map


def test_results_come_in_order() -> None:
    def slow_first(number: int) -> int:
        time.sleep(0.02 if number == 0 else 0)
        return number * 2

    assert list(ordered_map(slow_first, range(50), 4, 8)) == [n * 2 for n in range(50)]


def test_no_more_than_the_bound_is_read_ahead() -> None:
    taken = 0
    lock = threading.Lock()

    def source() -> Iterator[int]:
        nonlocal taken
        for number in range(100):
            with lock:
                taken += 1
            yield number

    results = ordered_map(lambda n: n, source(), 2, 5)
    for consumed in range(1, 20):
        next(results)
        assert taken <= consumed + 5


def test_an_item_is_taken_only_where_there_is_room() -> None:
    taken = 0

    def source() -> Iterator[int]:
        nonlocal taken
        for number in range(20):
            taken += 1
            yield number

    full = ordered_map(lambda n: n, source(), 2, 5, room=lambda: False)
    for consumed in range(1, 20):
        assert next(full) == consumed - 1
        assert taken == consumed + 1
    assert list(full) == [19]


def test_an_error_is_raised_in_its_place() -> None:
    def fail_at_three(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return number

    results = ordered_map(fail_at_three, range(10), 4, 8)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)
