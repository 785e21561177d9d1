"""Every bad and odd file ends in its code or in a caption, and the job never in a crash."""

import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.faults import zoo
from tests.faults.jobs import run_job
from tests.faults.warm import WarmPython
from transforms import captions_table


@pytest.fixture(scope="module")
def outcomes(
    captioner_folder: Path, warm: WarmPython, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[zoo.Animal], dict[str, list[str]]]:
    """What is in the zoo, and what the captioning job made of each key."""
    folder = tmp_path_factory.mktemp("zoo")
    (folder / "images").mkdir()
    animals = zoo.populate(folder / "images")
    command = [f"--images={folder / 'images'}", f"--captioner={captioner_folder}"]
    run_job(["pipeline.caption", *command, "--output=captions"], folder, warm=warm).check()
    output = folder / "captions"
    found: dict[str, list[str]] = {}
    for row in captions_table.rows(str(output)):
        assert row["caption"] is not None
        found.setdefault(row["key"], []).append(zoo.CAPTIONED)
    for row in pq.read_table(output / "rejects.parquet").to_pylist():
        assert row["message"] and "\n" not in row["message"]
        found.setdefault(row["key"], []).append(row["code"])
    counts = json.loads((output / "captions.json").read_text())["books"]["images"]
    assert counts["listed"] == sum(map(len, found.values()))
    return animals, found


def test_every_file_has_the_one_outcome_that_is_documented(
    outcomes: tuple[list[zoo.Animal], dict[str, list[str]]],
) -> None:
    animals, found = outcomes
    wanted = {written(a.name): [a.expected] for a in animals if a.expected}
    assert found == wanted


def test_the_zoo_is_large_and_of_every_kind(
    outcomes: tuple[list[zoo.Animal], dict[str, list[str]]],
) -> None:
    animals, _ = outcomes
    assert len(animals) >= 80
    assert len({animal.expected for animal in animals}) >= 9


def written(name: str) -> str:
    """Return a key as a table has it, which holds only UTF-8."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
