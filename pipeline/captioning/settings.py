"""What shapes a captions table."""

import dataclasses
from typing import Any

from pipeline.common import units
from transforms import engines
from transforms.search import SearchOptions
from transforms.stored import Form

JOB = "pipeline.caption"
WORDS, ATTENTION = "words", "attention"
DETAILS = (WORDS, ATTENTION)
MAKING_CHARACTERS = 16


@dataclasses.dataclass(frozen=True)
class Settings:
    """What shapes a captions table.

    Attributes:
        images: folders, globs, archives and lists.
        output: folder of the table.
        captioners: folders of the captioner, or of those that decide together.
        captioner_digest: what `transforms.engines.digest` returns for each, joined by `+`.
        forms: of the pictures that each captioner takes.
        search: how captions are searched.
        banned_words: the phrases of `search.banned`, as they were given.
        required_words: those of `search.required`.
        details: what the table tells of captions beyond the usual: `words`, `attention`.
        exports: further formats to write: `jsonl`, `coco`.
        page_images: images that the page shows; 0 for no page.
        unit_size: images a unit, about.
        truncated: `reject` or `accept` truncated images.
        batch_size: images a call of the model; the last bit of a result may depend on it.
        recaption: which rows are made again though their image is the same: `never` any,
            `changed_model` those of another captioner or search, `all`.
        retain: generations before the newest that stay readable.
        merge_above: parts of less than half a unit that a table may have before they are merged.
        engine: what runs the captioner, one of `transforms.engines.ENGINES`.
        precision: of the encoder, one of `transforms.engines.PRECISIONS`.
        overwrite: whether to begin the table anew, with nothing of the one that is there.
        base: number of the generation that is there, 0 for none.
        language: of the captions, for the page; empty where it is unknown.
        image_seconds: seconds that an image may take to be decoded; one that an earlier run gave
            up after fewer is tried again.
    """

    images: tuple[str, ...]
    output: str
    captioners: tuple[str, ...]
    captioner_digest: str
    forms: tuple[Form, ...]
    search: SearchOptions
    banned_words: tuple[str, ...]
    required_words: tuple[str, ...]
    details: tuple[str, ...]
    exports: tuple[str, ...]
    page_images: int
    unit_size: int
    truncated: str
    batch_size: int
    image_seconds: float
    recaption: str = "changed_model"
    retain: int = 1
    merge_above: int = 20
    engine: str = "tensorflow"
    precision: str = "fp32"
    overwrite: bool = False
    base: int = 0
    language: str = ""

    def claim(self) -> dict[str, Any]:
        """Return what a folder must be to be written to; all else may change from run to run."""
        return {"job": JOB}

    def model(self) -> str:
        """Return the digest of what makes an image's captions.

        In fp32 the engine is no part of it: another one makes the same captions, with scores that
        differ in the last digits, and no reason to make a whole table again. In other precisions
        engines round in other places, and one in five captions is another.
        """
        rounding = () if self.precision == "fp32" else (self.engine,)
        likes = self._likes()
        return units.digest(
            "model-2",
            self.captioner_digest,
            self.search.identity(),
            self.details,
            *rounding,
            *([likes] if any(likes) else []),
        )

    def _likes(self) -> list[dict[str, Any] | None]:
        """Return how each captioner's pictures are stored first; its digest does not tell."""
        return [dataclasses.asdict(form.like) if form.like else None for form in self.forms]

    def policy(self) -> str:
        """Return the digest of what decides whether an image is refused for good."""
        return units.digest("policy-1", self.truncated)

    def making(self) -> str:
        """Return the digest of what shapes a unit's files beside its images.

        Units' names begin with it, so that the journal tells what an interrupted run has finished
        of the generation that is being made, whatever images came, went or changed since.
        """
        binding = (self.base, self.model(), self.policy(), self.batch_size, self.engine)
        return units.digest("captions-4", *binding)[:MAKING_CHARACTERS]

    def configuration(self) -> dict[str, Any]:
        """Return the flags that shaped a generation, as JSON-able values."""
        values = {"job": JOB, **dataclasses.asdict(self), "search": self.search.identity()}
        # Of the search the words are said as they were given.
        values["engine"] = engines.describe(self.engine, self.precision)
        del values["precision"], values["search"]["banned"], values["search"]["required"]
        if any(self._likes()):
            values["pictures"] = self._likes()
        # The output may be moved; the captioner is known by its digest, wherever it lies.
        # What is written beside the table, and how long things take or stay, shapes no row.
        places = ("output", "captioners", "forms", "base")
        beside = ("exports", "page_images", "language", "retain", "merge_above", "image_seconds")
        for name in (*places, *beside):
            del values[name]
        return values
