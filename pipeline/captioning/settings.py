"""What shapes a captions table, and what shapes only the speed of making it."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Settings:
    """What shapes a captions table.

    Attributes:
        images: folder or glob.
        output: folder of the table.
        captioner: folder of the captioner.
        captioner_digest: hexadecimal sha256 of its manifest.
        beam_width: hypotheses that the search keeps.
        length_penalty: power of the length that log-probabilities are divided by.
        exports: further formats to write: `jsonl`, `coco`.
        page_images: images that the page shows; 0 for no page.
        unit_size: images a unit, about.
        truncated: `reject` or `accept` truncated images.
    """

    images: str
    output: str
    captioner: str
    captioner_digest: str
    beam_width: int
    length_penalty: float
    exports: tuple[str, ...]
    page_images: int
    unit_size: int
    truncated: str

    def configuration(self) -> dict[str, Any]:
        """Return what the output is bound to, as JSON-able values."""
        values = {"job": "pipeline.caption", **dataclasses.asdict(self)}
        # The output may be moved; the captioner is known by its digest, wherever it lies.
        # What is written beside the table may change from run to run.
        for name in ("output", "captioner", "exports", "page_images"):
            del values[name]
        return values


@dataclasses.dataclass(frozen=True)
class Performance:
    """What shapes the speed of a job and not its result.

    Attributes:
        batch_size: images a call of the model.
        readers: threads that read and decode.
        image_seconds: time an image may take to be decoded, where it is watched.
    """

    batch_size: int
    readers: int
    image_seconds: float
