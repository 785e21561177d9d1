"""The helper that the tests of faults rest on."""

import time
from pathlib import Path

import pytest

from tests.faults.jobs import run_job, tree


def script(folder: Path, text: str) -> str:
    """Put a module where the job's working folder is; returns its name."""
    (folder / "job.py").write_text(text)
    return "job"


def test_a_job_that_ends_gives_its_status_and_its_log(tmp_path: Path) -> None:
    run = run_job(
        [script(tmp_path, "import sys; print(sys.argv[1]); sys.exit(3)"), "a b"], tmp_path
    )
    run.check(status=3)
    assert run.log == "a b\n"


def test_a_job_is_of_the_folder_that_its_test_is_of(tmp_path: Path) -> None:
    text = "import transforms; print(transforms.__file__)"
    run = run_job([script(tmp_path, text)], tmp_path)
    assert run.log == f"{Path(__file__).parents[2]}/transforms/__init__.py\n"


def test_a_process_that_outlives_its_job_is_reported_and_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.faults.jobs.GRACE_SECONDS", 0.2)
    # A process group of its own, as Beam's workers have.
    text = "import subprocess; subprocess.Popen(['sleep', '60'], process_group=0)"
    run = run_job([script(tmp_path, text)], tmp_path)
    assert run.left_behind == ("sleep 60",)
    with pytest.raises(AssertionError, match="left behind"):
        run.check()


def test_a_job_is_killed_with_its_workers_when_the_moment_has_come(tmp_path: Path) -> None:
    text = """
import pathlib, subprocess, time
subprocess.Popen(['sh', '-c', 'sleep 0.5; touch survived'], process_group=0)
pathlib.Path('begun').touch()
time.sleep(60)
"""
    run = run_job(
        [script(tmp_path, text)], tmp_path, kill_when=lambda: (tmp_path / "begun").exists()
    )
    run.check(status=-9)
    assert run.seconds < 30
    time.sleep(0.7)
    assert not (tmp_path / "survived").exists()


def test_a_job_that_takes_too_long_fails_with_its_log(tmp_path: Path) -> None:
    text = "import time; print('stuck here', flush=True); time.sleep(60)"
    with pytest.raises(AssertionError, match=r"over 1 seconds[\s\S]*stuck here"):
        run_job([script(tmp_path, text)], tmp_path, timeout=1)


def test_a_tree_tells_names_and_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ".hidden").write_bytes(b"x")
    digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    assert tree(tmp_path) == {"a/.hidden": digest}
