"""Every bad and odd file ends in its code or in a caption, and the job never in a crash."""

import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.faults import archive_zoo, zoo
from tests.faults.jobs import run_job
from tests.faults.warm import WarmPython
from transforms import captions_table

Expected = dict[str, list[str]]


@pytest.fixture(scope="module")
def outcomes(
    captioner_folder: Path, warm: WarmPython, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Expected, Expected]:
    """What must become of each key of the zoo, and what the captioning job made of it."""
    folder = tmp_path_factory.mktemp("zoo")
    (folder / "images").mkdir()
    wanted = {
        written(animal.name): [animal.expected]
        for animal in zoo.populate(folder / "images")
        if animal.expected
    }
    (folder / "images" / "archives").mkdir()
    for name, content, members in archive_zoo.archives():
        (folder / "images" / "archives" / name).write_bytes(content)
        for member, expected in members:
            key = f"archives/{name}/{member}" if member else f"archives/{name}"
            wanted.setdefault(key.replace("/./", "/"), []).append(expected)
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
    return wanted, found


def test_every_file_has_the_one_outcome_that_is_documented(
    outcomes: tuple[Expected, Expected],
) -> None:
    wanted, found = outcomes
    assert {key: sorted(codes) for key, codes in found.items()} == {
        key: sorted(codes) for key, codes in wanted.items()
    }


def test_the_zoo_is_large_and_of_every_kind(outcomes: tuple[Expected, Expected]) -> None:
    wanted, _ = outcomes
    assert len(wanted) >= 180
    assert len({code for codes in wanted.values() for code in codes}) >= 18


def written(name: str) -> str:
    """Return a key as a table has it, which holds only UTF-8."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
