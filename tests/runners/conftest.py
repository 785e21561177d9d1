"""Engines as fixtures: a missing one skips its tests, and fails them in CI."""

import os

import pytest

from tests.runners import engines


@pytest.fixture(scope="session", params=list(engines.ENGINES))
def engine(request: pytest.FixtureRequest) -> list[str]:
    """The flags of each engine in turn."""
    try:
        return engines.ENGINES[request.param]()
    except engines.MissingToolError as missing:
        reason = f"{request.param}: {missing}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
