"""Captioning that is killed at any moment ends, when run again, as if nothing had happened."""

import json
import os
import random
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults import inputs
from tests.faults.jobs import run_job, tree
from tests.faults.warm import WarmPython
from transforms import captions_table

# Of the first run and of a later one each. All of them in CI; elsewhere some: they take time.
KILLS = 13 if os.environ.get("BEAMCAP_FAULTS") == "whole" else 2
SEED = 3


@pytest.fixture(scope="module")
def caption(captioner_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The captioning job with many small units, without its output."""
    folder = tmp_path_factory.mktemp("inputs")
    inputs.write(folder, count=60)
    units = ["--unit_size=4", "--batch_size=4", "--page_images=5"]
    images = f"--images={folder / 'images'}"
    return ["pipeline.caption", images, f"--captioner={captioner_folder}", *units]


@dataclass(frozen=True)
class Undisturbed:
    """A run that nothing disturbed.

    Attributes:
        command: the job without its output.
        before: the table that it found; None for none.
        table: the table that it left.
        rows: of the table that was there and of the one that it left.
        seconds: that it took.
    """

    command: list[str]
    before: Path | None
    table: Path
    rows: tuple[int, int]
    seconds: float


@pytest.fixture(scope="module")
def whole(
    caption: list[str], warm: WarmPython, tmp_path_factory: pytest.TempPathFactory
) -> Undisturbed:
    """The first run."""
    folder = tmp_path_factory.mktemp("whole")
    run_job([*caption, "--output=captions"], folder, warm=warm).check()
    again = run_job([*caption, "--output=again"], folder, warm=warm)
    again.check()
    assert tree(folder / "again") == tree(folder / "captions")
    return Undisturbed(caption, None, folder / "captions", (62, 62), again.seconds)


@pytest.fixture(scope="module")
def nightly(
    caption: list[str], warm: WarmPython, tmp_path_factory: pytest.TempPathFactory
) -> Undisturbed:
    """A later run: new images, new names of old ones, one that broke, and small files to merge."""
    folder = tmp_path_factory.mktemp("nightly")
    inputs.write(folder, count=60)
    images = folder / "images"
    command = [*caption, f"--images={images}", "--output=captions"]
    command.remove(caption[1])
    run_job(command, folder, warm=warm).check()
    shutil.copytree(folder / "captions", folder / "before")
    names = sorted(path.name for path in images.glob("scene-*"))
    for number in range(6):
        data = (images / names[number]).read_bytes()
        (images / f"new {number}.jpg").write_bytes(data + bytes(2 + number))
        (images / f"copy {number}.jpg").write_bytes(data)
    (images / names[9]).write_bytes(b"broken now")
    command = [*command[:-1], "--unit_size=40", "--merge_above=2"]
    run = run_job([*command, "--output=captions"], folder, warm=warm)
    run.check()
    assert "12 images done, 61 already there, 2 rejected" in run.log
    assert len(json.loads((folder / "captions" / "captions.json").read_text())["data"]) < 6
    return Undisturbed(
        command, folder / "before", folder / "captions", rows=(62, 73), seconds=run.seconds
    )


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", ["whole", "nightly"])
def test_killed_at_random_moments_and_run_again_gives_the_bytes_of_an_uninterrupted_run(
    kind: str, warm: WarmPython, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    undisturbed: Undisturbed = request.getfixturevalue(kind)
    wanted = tree(undisturbed.table)
    moments = random.Random(SEED)
    killed = 0
    for number in range(KILLS):
        folder = tmp_path / str(number)
        output = folder / "captions"
        if undisturbed.before:
            shutil.copytree(undisturbed.before, output)
        command = [*undisturbed.command, "--output=captions"]
        moment = time.monotonic() + moments.uniform(0, undisturbed.seconds)
        run = run_job(command, folder, warm=warm, kill_when=lambda at=moment: time.monotonic() > at)
        killed += run.status == -9
        if (output / "captions.json").exists():
            # What a reader can open is whole, even behind a kill.
            assert len(list(captions_table.rows(str(output)))) in undisturbed.rows
        run_job(command, folder, warm=warm).check()
        assert tree(output) == wanted, f"after kill {number}"
    assert killed >= KILLS / 2


def test_bundles_that_are_repeated_change_nothing(
    whole: Undisturbed, warm: WarmPython, tmp_path: Path
) -> None:
    command = [*whole.command, "--output=captions", "--direct_runner_bundle_repeat=2"]
    run_job(command, tmp_path, warm=warm).check()
    assert tree(tmp_path / "captions") == tree(whole.table)
