"""The pages in a real browser: headless Chromium."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from transforms import images
from transforms.pages import Card, gallery, thumbnail

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None and not os.environ.get("CI"), reason="there is no Chromium here"
)
RED = (200, 30, 30)


def chromium(page: Path, *flags: str) -> str:
    assert CHROMIUM, "there is no Chromium here"
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command += ["--disable-quic", "--hide-scrollbars", f"--user-data-dir={page.parent}/profile"]
    done = subprocess.run(
        [*command, *flags, page.as_uri()], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout


@pytest.fixture
def page(tmp_path: Path) -> Path:
    pixels = np.full((192, 256, 3), RED, np.uint8)
    card = Card("a.jpg", "<script>document.title='run'</script>", thumbnail(images.to_jpeg(pixels)))
    path = tmp_path / "captions.html"
    path.write_text(gallery([card], "Captions"))
    return path


def test_captions_are_text_and_never_run(page: Path) -> None:
    dom = chromium(page, "--dump-dom")
    assert "<title>Captions</title>" in dom
    assert "&lt;script&gt;document.title" in dom


def test_names_of_files_are_there_to_their_ends(page: Path) -> None:
    shots = []
    for number in range(2):
        page.write_text(gallery([Card(f"{'folder/' * 20}{number}.jpg", "a dog")], "Captions"))
        shot = page.parent / f"{number}.png"
        chromium(page, "--window-size=360,800", f"--screenshot={shot}")
        shots.append(np.asarray(Image.open(shot).convert("RGB")))
    assert (shots[0] != shots[1]).any()


@pytest.mark.parametrize("width", [360, 1200])
def test_pictures_show_at_any_width(page: Path, width: int) -> None:
    shot = page.parent / "shot.png"
    chromium(page, f"--window-size={width},800", f"--screenshot={shot}")
    seen = np.asarray(Image.open(shot).convert("RGB")).astype(int)
    red = (abs(seen - RED).max(axis=2) < 12).sum()
    # The picture is there, at a size at which a person can see it.
    assert red > 100 * 100
