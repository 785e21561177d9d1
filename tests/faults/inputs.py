"""Small inputs with something of everything: good images, copies, bad and missing ones."""

import shutil
from pathlib import Path

from transforms import sample


def write(folder: Path, count: int = 40) -> None:
    """Write pictures of the built-in sample, and captions, with every kind of trouble."""
    sample.write(folder, count=count)
    images = folder / "images"
    names = sorted(path.name for path in images.iterdir())
    shutil.copy(images / names[0], images / "copy.jpg")
    (images / "broken.jpg").write_bytes((images / names[1]).read_bytes()[:700])
    (images / "uncaptioned.jpg").write_bytes((images / names[2]).read_bytes() + b"\0")
    with (folder / "captions.token.txt").open("a") as stream:
        stream.writelines(
            f"{name}.jpg#0\ta {name} picture\n" for name in ("copy", "broken", "gone")
        )


def flags(folder: Path) -> list[str]:
    """Return the flags of the preprocessing job that read what `write` wrote."""
    return [
        f"--images={folder / 'images'}",
        f"--captions={folder / 'captions.token.txt'}",
        "--min_count=2",
    ]
