"""What shapes a data set."""

import dataclasses
from typing import Any

from transforms.stored import Stored


@dataclasses.dataclass(frozen=True)
class Settings:
    """What shapes a data set.

    Attributes:
        images: folders, globs, archives and lists.
        captions: caption files; empty where folder names are the captions.
        captions_format: resolved, one of `annotations.FORMATS`, or `none` for images alone.
        lists: (split, path) of the list files.
        output: folder of the data set.
        encoder: specification, `none` to store images.
        weights: `imagenet`, `none` or a file.
        features: `grid`, `pooled` or the name of a cut.
        views: of each training image, stored beside it.
        like: how images are to be stored before they are encoded, None for as they are.
        dtype: `float16` or `float32`.
        image_size: pixels a side of stored images, with encoder `none`.
        tokenizer: resolved, one of `text.TOKENIZERS`.
        min_count: occurrences that a word needs in the train split.
        max_words: words at most, without the reserved ones.
        max_length: words of a caption at most.
        dev_fraction: share of images whose split nothing names that goes to dev.
        test_fraction: likewise, to test.
        seed: of the division into splits and of weights drawn at random.
        unit_size: images a unit, about.
        truncated: `reject` or `accept` truncated images.
        batch_size: images a call of the model; the last bit of a result may depend on it.
    """

    images: tuple[str, ...]
    captions: tuple[str, ...]
    captions_format: str
    lists: tuple[tuple[str, str], ...]
    output: str
    encoder: str
    weights: str
    features: str
    views: tuple[str, ...]
    like: Stored | None
    dtype: str
    image_size: int
    tokenizer: str
    min_count: int
    max_words: int
    max_length: int
    dev_fraction: float
    test_fraction: float
    seed: int
    unit_size: int
    truncated: str
    batch_size: int

    def configuration(self) -> dict[str, Any]:
        """Return what the output is bound to, as JSON-able values."""
        values = {"job": "pipeline.preprocess", **dataclasses.asdict(self)}
        # The output may be moved, and names nothing of what is in it.
        del values["output"]
        for name in ("views", "like"):
            if not values[name]:
                del values[name]
        return values
