"""JPEGs to measure with: drawn, each another, and as hard to decode as photographs.

Natural images have a spectrum that falls with the frequency (Field, 1987), and colours that vary
less than brightness. A few large textures of that kind are drawn; a picture is a window on one of
them, mixed with a window on another. A 640x480 picture has about 110 kB, as one from a camera
has in that quality.
"""

import functools
import hashlib
import io
import itertools
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

TEXTURES = 6
QUALITY = 88
VERSION = 1
CHUNK = 100
ANIMALS = ("dog", "cat", "horse", "bird", "cow")


def folder(root: str, count: int, size: tuple[int, int] = (640, 480)) -> str:
    """Return a folder with links to drawn pictures, which are kept for the next time.

    Args:
        root: where such folders are kept.
        count: pictures.
        size: (width, height) in pixels.
    """
    bank = Path(root, f"photos-{VERSION}-{size[0]}x{size[1]}")
    bank.mkdir(parents=True, exist_ok=True)
    names = [f"{number:07}.jpg" for number in range(count)]
    drawn = {path.name for path in bank.iterdir()}
    starts = [s for s in range(0, count, CHUNK) if not drawn.issuperset(names[s : s + CHUNK])]
    if starts:
        print(f"drawing up to {count:,} pictures of {size[0]}x{size[1]}: {bank}", file=sys.stderr)
    spans = [(str(bank), start, min(start + CHUNK, count), size) for start in starts]
    if len(spans) == 1:
        _draw(*spans[0])
    elif spans:
        with ProcessPoolExecutor() as pool:
            list(pool.map(_draw, *zip(*spans, strict=True)))
    return _linked(Path(f"{bank}-{count}"), [bank / name for name in names])


def take(source: str, count: int, root: str) -> str:
    """Return a folder with links to the first images of a source that a user names.

    Args:
        source: folder or glob of image files, on this machine.
        count: images wanted; fewer where there are fewer.
        root: where such folders are kept.
    """
    digest = hashlib.sha256(f"{source}\n{count}".encode()).hexdigest()[:16]
    return _linked(Path(root, f"taken-{digest}"), list(itertools.islice(named(source), count)))


def named(source: str) -> Iterator[Path]:
    """Yield the files of the images of a source; those in archives or buckets have none here."""
    from transforms import sources

    found = (Path(ref.uri) for ref in sources.list_images(source))
    return (path.resolve() for path in found if path.is_file())


def paths(place: str, count: int | None = None) -> list[str]:
    """Return the paths of a folder's pictures, in order."""
    return sorted(map(str, Path(place).iterdir()))[:count]


def captions(place: str) -> str:
    """Return a CSV file with five captions for each picture of a folder."""
    path = Path(f"{place}.csv")
    if not path.exists():
        lines = ["image,caption"]
        for number, name in enumerate(Path(found).name for found in paths(place)):
            for turn in range(5):
                animal = ANIMALS[(number + turn) % len(ANIMALS)]
                lines.append(f"{name},a {animal} is running through the green grass")
        path.write_text("\n".join(lines) + "\n")
    return str(path)


def draw(number: int, size: tuple[int, int]) -> bytes:
    """Return the JPEG of a number, always the same."""
    width, height = size
    random = np.random.default_rng([VERSION, number])
    mixed = np.zeros((height, width, 3), np.float32)
    for share in (0.7, 0.3):
        texture = _texture(int(random.integers(TEXTURES)), max(2 * height, 2 * width))
        top = int(random.integers(texture.shape[0] - height + 1))
        left = int(random.integers(texture.shape[1] - width + 1))
        window = texture[top : top + height, left : left + width]
        mixed += share * window[:, :: random.choice([-1, 1])]
    contrast, brightness = random.uniform(40, 70), random.uniform(90, 160)
    pixels = (mixed * contrast + brightness).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


@functools.lru_cache(maxsize=2 * TEXTURES)
def _texture(number: int, side: int) -> np.ndarray:
    """Return float32 [side, side, 3] with mean 0 and variance 1 in each channel."""
    random = np.random.default_rng([VERSION, number, side])
    down, across = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]
    falling = 1 / np.maximum(np.hypot(down, across), 1 / side) ** 1.2
    planes = []
    for _ in range(3):
        noise = np.fft.rfft2(random.standard_normal((side, side)))
        plane = np.fft.irfft2(noise * falling, (side, side))
        planes.append((plane / plane.std()).astype(np.float32))
    luminance, *colours = planes
    red, blue = 0.3 * colours[0], 0.3 * colours[1]
    mixed = np.stack([luminance + red, luminance - red - blue, luminance + blue], axis=-1)
    return mixed / mixed.std(axis=(0, 1))


def _linked(place: Path, targets: list[Path]) -> str:
    """Make a folder of links to pictures; returns it."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for number, target in enumerate(targets):
        (place / f"{number:07}{target.suffix}").symlink_to(target)
    return str(place)


def _draw(place: str, start: int, end: int, size: tuple[int, int]) -> None:
    for number in range(start, end):
        path = Path(place, f"{number:07}.jpg")
        if not path.exists():
            part = path.with_suffix(".part")
            part.write_bytes(draw(number, size))
            part.replace(path)
