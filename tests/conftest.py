"""What tests of several folders share."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from transforms import tensorflow_start

# As commands do it: some tests import TensorFlow by themselves.
tensorflow_start.configure()
if "PYTEST_XDIST_WORKER" in os.environ:
    # Tests run in several processes, and the processes that they start: a pool of threads as wide
    # as the machine in each would only have them wait for each other.
    for library in ("OMP_NUM_THREADS", "TF_NUM_INTEROP_THREADS", "TF_NUM_INTRAOP_THREADS"):
        os.environ.setdefault(library, "1")

# Beside other tests a quick example may be a slow one. In CI the rest is as Hypothesis has it
# there: examples that are the same in every run.
settings.register_profile("beamcap", settings.default, deadline=None)
settings.load_profile("beamcap")


def pytest_collection_finish() -> None:
    """Spare Python from looking for garbage among what is imported, which stays to the end."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    """Let Python clear it away in the end: DuckDB takes what is left for its own leak."""
    gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep what commands put into the user's cache in a folder of the tests."""
    folder = tmp_path_factory.mktemp("cache")
    before = os.environ.get("BEAMCAP_CACHE")
    os.environ["BEAMCAP_CACHE"] = str(folder)
    yield folder
    if before is None:
        del os.environ["BEAMCAP_CACHE"]
    else:
        os.environ["BEAMCAP_CACHE"] = before


@pytest.fixture
def without_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """METEOR takes seconds to start; most tests need none of it."""
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture(scope="session")
def captioner_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A captioner that nothing has trained, small and whole, for pictures of any content."""
    from tests import captioners

    folder = tmp_path_factory.mktemp("captioner")
    data = captioners.dataset(folder / "data", captioners.encoder_file(folder / "cnn.keras"))
    model = captioners.model(data, captioners.configuration())
    captioners.write(folder / "captioner", data, model)
    return folder / "captioner"
