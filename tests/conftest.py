"""What tests of several folders share."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def captioner_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A captioner that nothing has trained, small and whole, for pictures of any content."""
    from tests import captioners

    folder = tmp_path_factory.mktemp("captioner")
    data = captioners.dataset(folder / "data", captioners.encoder_file(folder / "cnn.keras"))
    model = captioners.model(data, captioners.configuration())
    captioners.write(folder / "captioner", data, model)
    return folder / "captioner"
