"""How the tests call pipeline.evaluate."""

from pathlib import Path

ROOT = Path(__file__).parents[3]
WORDS = ["red", "green", "blue", "small", "large", "round"]


def flags(world, **changes):
    values = {
        "captions": world / "captions",
        "references": world / "references.txt",
        "output": world / "report",
    } | changes
    return [f"--{name}={value}" for name, value in values.items() if value is not None]
