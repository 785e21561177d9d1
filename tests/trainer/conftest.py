"""What the tests of trainings share."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def without_java(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """METEOR takes every training seconds; the README's in tests/end_to_end/test_path.py has it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(tmp_path_factory.mktemp("path")))
        yield
