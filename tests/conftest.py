"""What tests of several folders share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


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


@pytest.fixture(scope="session")
def captioner_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A captioner that nothing has trained, small and whole, for pictures of any content."""
    from tests import captioners

    folder = tmp_path_factory.mktemp("captioner")
    data = captioners.dataset(folder / "data", captioners.encoder_file(folder / "cnn.keras"))
    model = captioners.model(data, captioners.configuration())
    captioners.write(folder / "captioner", data, model)
    return folder / "captioner"
