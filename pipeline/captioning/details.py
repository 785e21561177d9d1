"""Columns that a captions table has on request: word scores, attention, required words."""

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from pipeline.captioning.settings import ATTENTION, WORDS, Settings
from transforms.captioners import Caption

FIELDS = (
    pa.field("word_scores", pa.list_(pa.struct([("word", pa.string()), ("score", pa.float32())]))),
    # Words, rows, columns.
    pa.field("attention", pa.list_(pa.list_(pa.list_(pa.float16())))),
    pa.field("has_required", pa.bool_()),
)


def columns(caption: Caption, settings: Settings) -> dict[str, Any]:
    """Return what the settings want to know of a caption beside the columns of every table."""
    wanted: dict[str, Any] = {}
    if WORDS in settings.details:
        wanted["word_scores"] = [{"word": word, "score": score} for word, score in caption.words]
    if ATTENTION in settings.details:
        seen = caption.attention
        wanted["attention"] = None if seen is None else seen.tolist()
    if settings.search.required:
        wanted["has_required"] = caption.has_required
    return wanted


def schema(always: pa.Schema, rows: Iterable[Mapping[str, Any]]) -> pa.Schema:
    """Return the schema of a file of rows: the columns of every table, and those that rows have."""
    there = {name for row in rows for name in row}
    return pa.schema([*always, *(field for field in FIELDS if field.name in there)])
