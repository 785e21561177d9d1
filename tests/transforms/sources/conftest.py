"""What the tests of sources share."""

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Close what a test left open, so that the next one begins without."""
    yield
    from transforms.sources import reading

    while reading._OPEN.archives:
        reading._OPEN.archives.popitem()[1].close()
