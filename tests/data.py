"""The real data sets that some tests use; they are never part of the project."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("BEAMCAP_DATA", Path(__file__).parents[2] / "shared" / "data"))


def shared(name: str) -> Path:
    """Return the folder of a real data set.

    Skips the test where the data is absent, and fails it in CI, where it must be there.
    """
    path = SHARED / name
    if not path.is_dir():
        reason = f"real data set {name!r} is absent: set BEAMCAP_DATA to the folder that has it"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path
