"""What the tests of faults share."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.faults.warm import WarmPython


@pytest.fixture(scope="session")
def warm() -> Iterator[WarmPython]:
    """A Python that has imported all that jobs need."""
    with closing(WarmPython()) as python:
        yield python
