"""Runs on one table: how they end, what they report, and how they keep apart."""

import contextlib
import dataclasses
import json
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipeline.captioning import caption_unit
from pipeline.common import locks
from tests.end_to_end.nightly.table import Run
from tests.faults.jobs import tree
from transforms.commandline import Exit
from transforms.errors import JobError, UsageError


def test_a_first_night_on_which_no_image_can_be_read_is_no_wrong_usage(
    run: Run, images: Path, output: Path
) -> None:
    for path in images.iterdir():
        path.unlink()
    (images / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(UsageError, match=r"no image is left.*\(image_not_an_image\)"):
        run()
    (images / "late.jpg").symlink_to(images.parent / "elsewhere.jpg")
    with pytest.raises(JobError, match=f"{output}/rejects.parquet has a line on each; the same"):
        run()


def test_too_many_rejects_have_a_status_of_their_own(run: Run, output: Path) -> None:
    assert run("--max_reject_fraction=0.1") is Exit.TOO_MANY_REJECTS
    assert run("--max_reject_fraction=0.2") is Exit.DONE


def test_a_folder_of_something_else_is_refused(run: Run, output: Path) -> None:
    output.mkdir()
    (output / "thesis.txt").write_text("x")
    for flags in ((), ("--dry_run",)):
        with pytest.raises(UsageError, match="files that are not of this job"):
            run(*flags)
    assert [path.name for path in output.iterdir()] == ["thesis.txt"]
    (output / "thesis.txt").unlink()
    (output / "configuration.json").write_text('{"job": "pipeline.preprocess"}')
    with pytest.raises(UsageError, match=r"holds the output of pipeline\.preprocess"):
        run("--overwrite")


def test_a_night_without_the_photos_is_told_of(
    run: Run, images: Path, output: Path, tmp_path: Path
) -> None:
    place = tmp_path / "beamcap.prom"
    images.rename(tmp_path / "unmounted")
    images.mkdir()
    with pytest.raises(UsageError, match="there is no image in it"):
        run(f"--metrics_file={place}")
    assert f'beamcap_exit_status{{command="caption",output="{output}"}} 2\n' in place.read_text()
    assert not output.exists()
    output.mkdir()
    (output / "configuration.json").write_text('{"job": "pipeline.caption", "older": 1}')
    (tmp_path / "unmounted").rename(images / "mounted")
    with pytest.raises(UsageError, match="made with another configuration"):
        run()
    assert f'output="{output}"}} 2' in (output / "metrics.prom").read_text()
    report = json.loads((output / "run.json").read_text())
    assert "made with another configuration" in report["message"]


def test_a_run_with_nothing_new_says_so_and_loads_no_model(
    run: Run, images: Path, output: Path, captioner_folder: Path
) -> None:
    run()
    before = tree(output)
    script = """
        import sys
        from pipeline import caption
        status = caption.main(sys.argv[1:])
        assert "tensorflow" not in sys.modules and "keras" not in sys.modules
        sys.exit(status)
    """
    flags = [f"--images={images}", f"--captioner={captioner_folder}", f"--output={output}"]
    flags += ["--unit_size=3", "--batch_size=4", "--page_images=0"]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *flags],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"nothing new: {output}/captions.json stays as it is" in done.stderr
    assert "0 images done, 7 already there, 1 rejected" in done.stderr
    assert tree(output) == before


def test_a_second_run_leaves_and_touches_nothing_or_waits(
    run: Run, output: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run()
    before = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}
    with locks.held(str(output)):
        with pytest.raises(JobError, match=f"{output}: another run is at work on it"):
            run("--recaption=all")
        now = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}
        del now[output / locks.NAME]
    assert now == before
    monkeypatch.setattr(locks, "POLL_SECONDS", 0.02)
    ended = threading.Event()

    def end() -> None:
        ended.set()
        other.close()

    with contextlib.ExitStack() as other:
        other.enter_context(locks.held(str(output)))
        threading.Timer(0.2, end).start()
        assert run("--wait_for_lock=60") is Exit.DONE
        assert ended.is_set()
    assert f"{output}: waiting for another run" in capsys.readouterr().err


@pytest.mark.parametrize("beat_seconds", [0.02, 60])
def test_a_run_that_lost_its_lock_ends_and_leaves_what_the_other_run_wrote(
    run: Run, output: Path, beat_seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "BEAT_SECONDS", beat_seconds)
    planted = [output / folder / "other.parquet" for folder in ("data", "index", "rejects")]
    planted += [output / name for name in ("generations/2.json", "captions.json", "run.json")]
    caption_all = caption_unit.caption_unit

    def taken_over(*arguments: Any) -> Any:
        for path in planted:
            path.parent.mkdir(exist_ok=True)
            path.write_text("of the other run")
        store = locks._Folder(output)
        while (found := store.read()) is not None and found[0].token != "another":
            store.write(dataclasses.replace(found[0], token="another"), found[1])
        if beat_seconds < 1:
            # Long enough to be noticed while the run is at work.
            time.sleep(1)
        return caption_all(*arguments)

    monkeypatch.setattr(caption_unit, "caption_unit", taken_over)
    with pytest.raises(JobError, match=f"{output}: another run took the output over"):
        run("--unit_size=1000")
    assert {path.read_text() for path in planted} == {"of the other run"}
    assert locks.Hold(str(output), "another").stands()


def test_the_metrics_of_a_run_are_prometheus_s(run: Run, output: Path, tmp_path: Path) -> None:
    place = tmp_path / "textfile" / "beamcap.prom"
    run("--max_reject_fraction=0.1", f"--metrics_file={place}")
    families = text_string_to_metric_families(place.read_text())
    values = {
        (sample.name, sample.labels.get("outcome", "")): sample.value
        for family in families
        for sample in family.samples
    }
    assert values["beamcap_exit_status", ""] == 3
    assert values["beamcap_images", "done"] == values["beamcap_table_rows", ""] == 7
    assert values["beamcap_rejects", ""] == 1


def test_a_run_that_is_told_to_end_gives_its_lock_back(
    images: Path, output: Path, captioner_folder: Path
) -> None:
    flags = [f"--images={images}", f"--captioner={captioner_folder}", f"--output={output}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.caption", *flags],
        cwd=Path(__file__).parents[3],
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (output / "configuration.json").exists() and process.poll() is None:
        time.sleep(0.05)
    # As schedulers do.
    process.terminate()
    log = process.communicate(timeout=120)[1]
    assert process.returncode == Exit.FAILED, log
    assert "error: interrupted; the same command continues where it stopped" in log
    assert not (output / locks.NAME).exists()
    assert json.loads((output / "run.json").read_text())["exit_status"] == Exit.FAILED
