"""Pictures, and the job that captions them night after night."""

from pathlib import Path

import pytest

from pipeline import caption
from tests import captioners
from tests.end_to_end.nightly.table import Run

COUNT = 6


@pytest.fixture(scope="module")
def jpegs() -> list[bytes]:
    """Pictures of different colours, more than a table begins with."""
    return captioners.jpegs(COUNT + 3)


@pytest.fixture
def images(jpegs: list[bytes], tmp_path: Path) -> Path:
    """A folder with six pictures, a copy and something broken."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number, data in enumerate(jpegs[:COUNT]):
        (folder / f"{number}.jpg").write_bytes(data)
    (folder / "copy.jpg").write_bytes(jpegs[0])
    (folder / "broken.jpg").write_bytes(b"no picture")
    return folder


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "captions"


@pytest.fixture
def run(images: Path, output: Path, captioner_folder: Path) -> Run:
    """Run the job with further flags; returns its status."""
    flags = [f"--images={images}", f"--captioner={captioner_folder}", f"--output={output}"]
    flags += ["--unit_size=3", "--batch_size=4", "--page_images=0"]
    return lambda *more: caption.main([*flags, *more])
