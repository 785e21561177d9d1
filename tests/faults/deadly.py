"""Images that bring down what decodes them, for processes that a test starts.

Decoders that crash are mended sooner or later, so the tests bring their own: `environment` makes
a process's Pillow meet certain widths of BMP with a real segmentation fault, with C code that
never returns, with a hunger for memory, or with a wait that lets other threads have their turn.
"""

import io
from pathlib import Path

from PIL import Image

WIDTHS = {"crash": 6661, "hang": 6662, "memory": 6663, "slow": 6664}

_SITE = """
import ctypes
import time
from PIL import BmpImagePlugin

ordinary = BmpImagePlugin.BmpImageFile.load

def load(image):
    if image.width == {crash}:
        ctypes.string_at(0)
    if image.width == {hang}:
        # Unlike ctypes.CDLL, PyDLL keeps Python's lock.
        ctypes.PyDLL(None).sleep(3600)
    if image.width == {slow}:
        time.sleep(3600)
    if image.width == {memory}:
        hoard = []
        while True:
            hoard.append(bytearray(1 << 24))
    return ordinary(image)

BmpImagePlugin.BmpImageFile.load = load
"""


def image(kind: str) -> bytes:
    """Return an image that a process with `environment` cannot decode: see `WIDTHS`."""
    buffer = io.BytesIO()
    Image.new("1", (WIDTHS[kind], 2), 1).save(buffer, "BMP")
    return buffer.getvalue()


def environment(folder: Path) -> dict[str, str]:
    """Return environment variables that make a Python process and its children vulnerable.

    Args:
        folder: an empty one, for the module that Python imports as it starts.
    """
    (folder / "sitecustomize.py").write_text(_SITE.format(**WIDTHS))
    return {"PYTHONPATH": str(folder)}
