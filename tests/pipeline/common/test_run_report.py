"""What a run tells those who watch it."""

import argparse
import errno
import json
import math
import os
import time
from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from pipeline.common import claims, launch, locks, refusals, run_report
from pipeline.common.books import Books
from tests.faults.jobs import tree
from transforms.commandline import Exit
from transforms.errors import JobError, UsageError
from transforms.rejects import Reject, RejectCode

IMAGES = {"listed": 5, "done": 2, "rejected": 2, "duplicates": 0, "committed": 1}
BOOKS = Books(IMAGES, {}, missing=4)
REJECTS = [Reject(k, k, "decode", RejectCode.IMAGE_EMPTY, "no bytes") for k in ("a", "b")]


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Parse metrics strictly: each family once, typed, with a help line."""
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families)
    assert all(family.type == "gauge" and family.documentation for family in families)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_a_finished_run_tells_counts_times_and_status(tmp_path: Path) -> None:
    output = str(tmp_path)
    run_report.record(output, BOOKS, REJECTS, changed=True, generation=3, rows=9)
    run_report.close(output, "caption", Exit.TOO_MANY_REJECTS, started=time.time() - 4)
    report = json.loads((tmp_path / "run.json").read_text())
    assert (report["exit_status"], report["rejects"]) == (3, {"image_empty": 2})
    assert math.isclose(report["images_per_second"], 0.5, rel_tol=0.1)
    found = samples((tmp_path / "metrics.prom").read_text())
    labels = {("command", "caption"), ("output", output)}
    assert found["beamcap_exit_status", frozenset(labels)] == 3
    assert found["beamcap_success", frozenset(labels)] == 0
    assert found["beamcap_table_rows", frozenset(labels)] == 9
    assert found["beamcap_images", frozenset({*labels, ("outcome", "committed")})] == 1
    assert found["beamcap_images", frozenset({*labels, ("outcome", "missing")})] == 4
    assert found["beamcap_rejects", frozenset({*labels, ("code", "image_empty")})] == 2
    ended = found["beamcap_finished_timestamp_seconds", frozenset(labels)]
    assert ended == pytest.approx(time.time(), abs=60)
    run_report.record(output, BOOKS, [])
    run_report.close(output, "caption", Exit.DONE, started=time.time())
    found = samples((tmp_path / "metrics.prom").read_text())
    assert found["beamcap_success", frozenset(labels)] == 1


def test_counts_that_cannot_be_read_are_told_in_one_line(tmp_path: Path) -> None:
    job = launch.Job("caption", str(tmp_path), {}, "captions.json")
    with pytest.raises(JobError, match=r"run\.json: the counts of the run are gone"):
        launch._close(job)
    (tmp_path / "run.json").mkdir()
    with pytest.raises(OSError, match=r"run\.json"):
        launch._close(job)


def test_a_failed_run_tells_that_and_no_counts(tmp_path: Path) -> None:
    output = str(tmp_path)
    run_report.record(output, BOOKS, REJECTS)
    run_report.forget(output)
    place = tmp_path / "textfile" / "beamcap.prom"
    run_report.close(output, "caption", Exit.FAILED, time.time(), "the disk is full", str(place))
    report = json.loads((tmp_path / "run.json").read_text())
    assert (report["exit_status"], report["message"]) == (1, "the disk is full")
    names = {name for name, _ in samples(place.read_text())}
    assert "beamcap_exit_status" in names
    assert "beamcap_images" not in names
    assert not (tmp_path / "metrics.prom").exists()


def test_a_command_that_is_refused_tells_that_and_touches_nothing_of_others(
    tmp_path: Path,
) -> None:
    output, place = tmp_path / "out", tmp_path / "textfile" / "beamcap.prom"
    flags = argparse.Namespace(output=str(output), metrics_file=str(place), dry_run=False)

    def refused() -> dict[str, float]:
        with (
            pytest.raises(UsageError, match="there is no folder"),
            refusals.told("caption", flags),
        ):
            raise UsageError("there is no folder\n/photos")
        return {name: value for (name, _), value in samples(place.read_text()).items()}

    assert refused()["beamcap_exit_status"] == 2
    assert not output.exists()
    claims.claim(str(output), {"job": "pipeline.preprocess"}, overwrite=False)
    before = tree(output)
    assert refused()["beamcap_success"] == 0
    assert tree(output) == before
    # Of last night, and of this command.
    (output / claims.NAME).write_text('{"job": "pipeline.caption"}')
    run_report.record(str(output), BOOKS, REJECTS, generation=3, rows=9)
    run_report.close(str(output), "caption", Exit.DONE, started=time.time())
    flags.metrics_file = ""
    with locks.held(str(output)):
        refused()
        assert json.loads((output / "run.json").read_text())["exit_status"] == 0
    refused()
    report = json.loads((output / "run.json").read_text())
    assert (report["exit_status"], report["message"]) == (2, "there is no folder /photos")
    assert "books" not in report
    assert "beamcap_table_rows" not in (output / "metrics.prom").read_text()
    assert not (output / locks.NAME).exists()
    flags.dry_run = True
    (output / "run.json").unlink()
    refused()
    assert not (output / "run.json").exists()


def test_an_output_that_cannot_be_written_to_is_told_of_in_a_metrics_file_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, place = tmp_path / "out", tmp_path / "textfile" / "beamcap.prom"
    claims.claim(str(output), {"job": "pipeline.caption"}, overwrite=False)

    def told() -> dict[str, float]:
        found = {name: value for (name, _), value in samples(place.read_text()).items()}
        place.unlink()
        return found

    (output / "run.json").mkdir()  # What cannot be replaced.
    with pytest.raises(OSError, match=r"run\.json"):
        run_report.close(str(output), "caption", Exit.FAILED, 0, "the disk is full", str(place))
    assert told()["beamcap_exit_status"] == 1

    def held(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(locks, "held", held)
    flags = argparse.Namespace(output=str(output), metrics_file=str(place), dry_run=False)
    flags.overwrite, flags.max_reject_fraction, flags.wait_for_lock = False, 1.0, 0
    job = launch.Job("caption", str(output), {}, "captions.json")

    def start() -> None:
        launch.start(job, lambda *_: None, lambda *_: None, flags, PipelineOptions([]))

    with pytest.raises(OSError, match="Read-only file system"):
        start()
    assert told()["beamcap_exit_status"] == 1
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UsageError, match="cannot be written to; choose another folder"):
        start()
    assert told()["beamcap_exit_status"] == 2


@given(st.text(st.sampled_from("ab \\\"\n{},='#é猫"), min_size=1))
def test_any_name_of_an_output_comes_back_as_it_was(name: str) -> None:
    report = {
        "job": "caption",
        "exit_status": 0,
        "seconds": 1.0,
        "images_per_second": 1.0,
        "software": {"beamcap": "1"},
    }
    found = samples(run_report.prometheus(report, name, 0.0))
    assert {dict(labels)["output"] for _, labels in found} == {name}
