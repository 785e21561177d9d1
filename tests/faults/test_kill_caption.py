"""Captioning that is killed at any moment ends, when run again, as if nothing had happened."""

import os
import random
import time
from pathlib import Path

import pytest

from tests.faults import inputs
from tests.faults.jobs import run_job, tree
from tests.faults.warm import WarmPython
from transforms import captions_table

# All of them in CI; elsewhere some, for they take their time.
KILLS = 25 if os.environ.get("BEAMCAP_FAULTS") == "whole" else 4
SEED = 3


@pytest.fixture(scope="module")
def caption(captioner_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The captioning job with many small units, without its output."""
    folder = tmp_path_factory.mktemp("inputs")
    inputs.write(folder, count=60)
    units = ["--unit_size=4", "--batch_size=4", "--page_images=5"]
    images = f"--images={folder / 'images'}"
    return ["pipeline.caption", images, f"--captioner={captioner_folder}", *units]


@pytest.fixture(scope="module")
def whole(
    caption: list[str], warm: WarmPython, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, float]:
    """The table of a run that nothing disturbed, and the seconds that it took."""
    folder = tmp_path_factory.mktemp("whole")
    run_job([*caption, "--output=captions"], folder, warm=warm).check()
    again = run_job([*caption, "--output=again"], folder, warm=warm)
    again.check()
    assert tree(folder / "again") == tree(folder / "captions")
    return folder / "captions", again.seconds


@pytest.mark.timeout(3600)
def test_killed_at_random_moments_and_run_again_gives_the_bytes_of_an_uninterrupted_run(
    caption: list[str], whole: tuple[Path, float], warm: WarmPython, tmp_path: Path
) -> None:
    table, seconds = whole
    wanted = tree(table)
    moments = random.Random(SEED)
    killed = 0
    for number in range(KILLS):
        folder = tmp_path / str(number)
        output = folder / "captions"
        command = [*caption, "--output=captions"]
        moment = time.monotonic() + moments.uniform(0, seconds)
        run = run_job(command, folder, warm=warm, kill_when=lambda at=moment: time.monotonic() > at)
        killed += run.status == -9
        if (output / "captions.json").exists():
            # What a reader can open is whole, even behind a kill.
            assert len(list(captions_table.rows(str(output)))) == 62
        run_job(command, folder, warm=warm).check()
        assert tree(output) == wanted, f"after kill {number}"
    assert killed >= KILLS / 2


def test_bundles_that_are_repeated_change_nothing(
    caption: list[str], whole: tuple[Path, float], warm: WarmPython, tmp_path: Path
) -> None:
    repeat = "--direct_runner_bundle_repeat=2"
    run_job([*caption, "--output=captions", repeat], tmp_path, warm=warm).check()
    assert tree(tmp_path / "captions") == tree(whole[0])
