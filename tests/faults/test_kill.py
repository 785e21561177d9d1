"""A job that dies at any moment, or repeats its work, ends with the bytes of one that did not."""

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import captioners
from tests.faults import inputs
from tests.faults.jobs import run_job, tree
from tests.faults.warm import WarmPython

# All of them in CI; elsewhere some, for they take their time.
KILLS = 25 if os.environ.get("BEAMCAP_FAULTS") == "whole" else 2
SEED = 4


@pytest.fixture(scope="module")
def preprocess(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The preprocessing job with many small units, without its output."""
    folder = tmp_path_factory.mktemp("inputs")
    inputs.write(folder, count=60)
    units = ["--unit_size=4", "--batch_size=4", "--features=pooled"]
    # A CNN that is ready at once, so that the moments are of the job and not of its start.
    units += [f"--encoder={captioners.encoder_file(folder / 'cnn.keras')}"]
    return ["pipeline.preprocess", *inputs.flags(folder), *units]


@pytest.fixture(scope="module")
def whole(preprocess: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set of a run that nothing disturbed, in a Python of its own as users start it."""
    folder = tmp_path_factory.mktemp("whole")
    run_job([*preprocess, "--output=dataset"], folder).check()
    return folder / "dataset"


def data_files(folder: Path) -> dict[str, int]:
    """Return when each data file was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("dataset/data/*.tfrecord")}


MOMENTS: dict[str, Callable[[Path], bool]] = {
    "planning": lambda folder: (folder / "dataset" / "configuration.json").exists(),
    "half-way": lambda folder: len(data_files(folder)) >= 8,
    "writing a file": lambda folder: any(folder.glob("dataset/data/.beamcap-tmp-*")),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_preprocess_run_again_gives_the_bytes_of_an_uninterrupted_run(
    moment: str, preprocess: list[str], whole: Path, warm: WarmPython, tmp_path: Path
) -> None:
    command = [*preprocess, "--output=dataset"]
    killed = run_job(command, tmp_path, warm=warm, kill_when=lambda: MOMENTS[moment](tmp_path))
    killed.check(status=-9)
    assert not (tmp_path / "dataset" / "dataset.json").exists()
    survived = data_files(tmp_path)

    run_job(command, tmp_path, warm=warm).check()
    assert tree(tmp_path / "dataset") == tree(whole)
    kept = data_files(tmp_path)
    # What was done is not done again, except for a file whose unit had no time to be entered.
    assert sum(kept.get(name) != time for name, time in survived.items()) <= 1


@pytest.mark.timeout(3600)
def test_killed_at_random_moments_and_run_again_gives_the_bytes_of_an_uninterrupted_run(
    preprocess: list[str], whole: Path, warm: WarmPython, tmp_path: Path
) -> None:
    command = [*preprocess, "--output=dataset"]
    wanted = tree(whole)
    undisturbed = run_job(command, tmp_path / "undisturbed", warm=warm)
    undisturbed.check()
    assert tree(tmp_path / "undisturbed" / "dataset") == wanted
    moments = random.Random(SEED)
    killed = 0
    for number in range(KILLS):
        folder = tmp_path / str(number)
        moment = time.monotonic() + moments.uniform(0, undisturbed.seconds)
        run = run_job(command, folder, warm=warm, kill_when=lambda at=moment: time.monotonic() > at)
        killed += run.status == -9
        run_job(command, folder, warm=warm).check()
        assert tree(folder / "dataset") == wanted, f"after kill {number}"
    assert killed >= KILLS / 2


def test_a_finished_preprocess_run_again_changes_nothing(
    preprocess: list[str], whole: Path, warm: WarmPython, tmp_path: Path
) -> None:
    before, times = tree(whole), data_files(whole.parent)
    run_job([*preprocess, f"--output={whole}"], tmp_path, warm=warm).check()
    assert tree(whole) == before
    assert data_files(whole.parent) == times


def test_bundles_that_are_repeated_change_nothing(
    preprocess: list[str], whole: Path, warm: WarmPython, tmp_path: Path
) -> None:
    repeat = "--direct_runner_bundle_repeat=2"
    run_job([*preprocess, "--output=dataset", repeat], tmp_path, warm=warm).check()
    assert tree(tmp_path / "dataset") == tree(whole)
