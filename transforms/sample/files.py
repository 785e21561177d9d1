"""Writes the sample as a data set in the format of Flickr8k."""

import io
import os
from collections.abc import Sequence
from pathlib import Path

from transforms.errors import UsageError
from transforms.sample.captions import captions
from transforms.sample.drawing import draw
from transforms.sample.scenes import CAPACITY, Scene, scene

COUNT = 1000
IMAGES = "images"
CAPTIONS = "captions.token.txt"
_QUALITY = 92


def splits(count: int) -> dict[str, range]:
    """Return the scenes of each split: four fifths for train, the rest halved between dev and test.

    Raises:
        UsageError: too few scenes for three splits, or more than there are different ones.
    """
    if not 10 <= count <= CAPACITY:
        raise UsageError(f"the sample has 10 to {CAPACITY} scenes, not {count}")
    held_out = count // 10
    dev, test = count - 2 * held_out, count - held_out
    return {"train": range(dev), "dev": range(dev, test), "test": range(test, count)}


def jpeg(scene: Scene) -> bytes:
    """Return the scene's picture as JPEG."""
    buffer = io.BytesIO()
    draw(scene).save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()


def write(folder: Path, count: int = COUNT, seed: int = 0) -> None:
    """Write the sample into a folder, which is made if need be.

    images/scene-00000.jpg …, captions.token.txt with lines of `name#i<tab>caption`, and the list
    files train.txt, dev.txt and test.txt. Files that already have the right bytes are left alone,
    pictures of another sample's further scenes are removed, and the list files come last.

    Args:
        folder: where to write.
        count: how many scenes; no two of them have the same content.
        seed: which scenes.

    Raises:
        UsageError: a count outside of what `splits` allows.
    """
    parts = splits(count)
    scenes = [scene(index, seed) for index in range(count)]
    images = folder / IMAGES
    images.mkdir(parents=True, exist_ok=True)
    for one in scenes:
        _put(images / one.name, jpeg(one))
    kept = {one.name for one in scenes}
    for path in images.glob("scene-[0-9][0-9][0-9][0-9][0-9].jpg"):
        if path.name not in kept:
            path.unlink(missing_ok=True)
    _put_lines(
        folder / CAPTIONS,
        [f"{one.name}#{i}\t{text}" for one in scenes for i, text in enumerate(captions(one))],
    )
    for split, part in parts.items():
        _put_lines(folder / f"{split}.txt", [scenes[index].name for index in part])


def _put_lines(path: Path, lines: Sequence[str]) -> None:
    _put(path, "".join(f"{line}\n" for line in lines).encode())


def _put(path: Path, data: bytes) -> None:
    if path.exists() and path.read_bytes() == data:
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(data)
    temporary.replace(path)
