"""What a captions table has become, as a reader sees it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from transforms import captions_table
from transforms.commandline import Exit

Run = Callable[..., Exit]


def manifest(output: Path) -> dict[str, Any]:
    return json.loads((output / "captions.json").read_text())


def books(output: Path) -> dict[str, int]:
    """Return what the last run counted, whether or not it made a generation."""
    counts = json.loads((output / "run.json").read_text())["books"]["images"]
    assert counts["listed"] == sum(counts.values()) - counts["listed"]
    return {name: counts[name] for name in ("done", "rejected", "committed")}


def rows(output: Path, generation: int | None = None) -> dict[str, dict[str, Any]]:
    """Return the table by key; a key must have one row."""
    found = list(captions_table.rows(str(output), generation))
    assert len({row["key"] for row in found}) == len(found)
    return {row["key"]: row for row in found}


def codes(output: Path) -> dict[str, str]:
    table = pq.read_table(output / "rejects.parquet").to_pylist()
    return {row["key"]: row["code"] for row in table}
