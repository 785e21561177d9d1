"""Units, books and claims: what makes a run resumable and its result accountable."""

import dataclasses
import json
import os
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from hypothesis import given
from hypothesis import strategies as st

from pipeline.captioning import parts
from pipeline.common import claims, launch, options, progress, tables, units
from pipeline.common.books import Books, none_left
from pipeline.common.locks import Hold
from pipeline.common.sweep import sweep
from pipeline.preprocessing import commit
from transforms import captions_table, files
from transforms.errors import JobError, UsageError
from transforms.joining import Lost
from transforms.rejects import Reject, RejectCode

REPORT = units.UnitReport(
    group="train",
    file="data/x",
    facts={"records": 1, "bytes": 1, "sha256": "0"},
    images=1,
    captions=5,
    rejects=(Reject("b.jpg", "/b.jpg", "decode", RejectCode.IMAGE_EMPTY, "no bytes"),),
    rejected=1,
    lost=5,
)


def remembered(
    folder: Path, report: units.UnitReport, seconds: float = 30
) -> units.UnitReport | None:
    units.remember(str(folder), "u", report)
    return units.recall(str(folder), "u", seconds)


def test_the_marker_of_a_unit_in_work_is_not_empty(tmp_path: Path) -> None:
    # Beam's client of S3 fails to write what is empty.
    def work(careful: bool) -> units.UnitReport:
        (marker,) = (tmp_path / units.JOURNAL).iterdir()
        assert not careful and marker.stat().st_size
        return REPORT

    assert units.once(str(tmp_path), "u", work, 30) == (REPORT, False)


def test_a_finished_unit_is_recalled(tmp_path: Path) -> None:
    assert units.recall(str(tmp_path), "u", 30) is None
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x").write_bytes(b"x")
    assert remembered(tmp_path, REPORT) == REPORT


def test_a_unit_without_its_file_is_done_again(tmp_path: Path) -> None:
    assert remembered(tmp_path, REPORT) is None


def test_a_unit_whose_files_are_not_whole_is_done_again(tmp_path: Path) -> None:
    facts = {"files": {"data/x": {"bytes": 1}, "index/x": {"bytes": 2}}}
    report = dataclasses.replace(REPORT, facts=facts)
    for folder in ("data", "index"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x").write_bytes(b"x")
    assert remembered(tmp_path, report) is None
    (tmp_path / "index" / "x").write_bytes(b"xx")
    assert remembered(tmp_path, report) == report


def test_a_journal_is_searched_by_the_beginnings_of_names(tmp_path: Path) -> None:
    assert units.names(str(tmp_path), "a") == []
    (tmp_path / "units").mkdir()
    for name in ("a2.json", "a1.json", "b1.json", "a3.started"):
        (tmp_path / "units" / name).write_bytes(b"")
    assert units.names(str(tmp_path), "a") == ["a1", "a2"]


def test_a_unit_with_a_torn_journal_is_done_again(tmp_path: Path) -> None:
    (tmp_path / "units").mkdir()
    (tmp_path / "units" / "u.json").write_text('{"group": "tr')
    assert units.recall(str(tmp_path), "u", 30) is None


def test_a_unit_with_a_retryable_reject_is_done_again(tmp_path: Path) -> None:
    reject = Reject("b.jpg", "/b.jpg", "read", RejectCode.IMAGE_UNREADABLE, "busy")
    report = dataclasses.replace(REPORT, file="", rejects=(reject,))
    assert remembered(tmp_path, report) is None
    assert remembered(tmp_path, dataclasses.replace(report, rejects=())) is not None


def test_a_unit_with_a_timeout_is_done_again_with_more_seconds(tmp_path: Path) -> None:
    code = RejectCode.DECODER_TIMEOUT
    reject = Reject("b.jpg", "/b.jpg", "decode", code, "not decoded after 30 seconds", 30)
    report = dataclasses.replace(REPORT, file="", rejects=(reject,))
    assert remembered(tmp_path, report, seconds=30) == report
    assert remembered(tmp_path, report, seconds=20) == report
    assert remembered(tmp_path, report, seconds=31) is None


@given(st.binary(min_size=32, max_size=32), st.integers(1, 10**6), st.integers(1, 2000))
def test_every_image_falls_into_one_of_the_units(digest: bytes, total: int, size: int) -> None:
    bucket = units.bucket(digest.hex(), total, size)
    assert 0 <= bucket < max(1, -(-total // size))


def test_books_that_do_not_balance_name_the_difference() -> None:
    images = {"listed": 10, "done": 7, "rejected": 2, "duplicates": 1}
    Books(images, {}).check()
    with pytest.raises(JobError, match=r"10 images listed, but .* a difference of -1"):
        Books({**images, "done": 6}, {}).check()
    with pytest.raises(JobError, match="captions"):
        Books(images, {"listed": 1, "done": 0, "rejected": 0, "duplicates": 0}).check()


def test_a_job_without_images_may_fare_better_where_the_store_failed() -> None:
    def failure(*reasons: tuple[str, RejectCode]) -> Exception:
        return none_left(9, [Reject("a", "/a", *reason, "") for reason in reasons], "r.parquet")

    broken, busy = ("decode", RejectCode.IMAGE_EMPTY), ("read", RejectCode.IMAGE_UNREADABLE)
    named = ("join", RejectCode.IMAGE_MISSING)
    assert type(failure(broken, named)) is UsageError
    assert type(failure(broken, busy)) is JobError
    assert "(image_empty, image_unreadable)" in str(failure(broken, busy))


def test_an_image_that_is_listed_and_gone_is_no_missing_one_as_well() -> None:
    gone = Reject("a.jpg", "/a.jpg", "list", RejectCode.IMAGE_MISSING, "x")
    books = commit.balance([], [Lost(gone, 1, 2), Lost(gone, 0, 1)], [], 1, 3)
    assert (books.images["rejected"], books.missing) == (1, 1)


def test_missing_images_count_as_rejects() -> None:
    images = {"listed": 8, "done": 6, "rejected": 2, "duplicates": 0}
    assert Books(images, {}, missing=2).reject_fractions() == {"images": 0.4}


def test_captions_have_a_share_of_their_own() -> None:
    counts = {"listed": 8, "done": 6, "rejected": 2, "duplicates": 0}
    none = {"listed": 0, "done": 0, "rejected": 0, "duplicates": 0}
    assert Books(none, counts).reject_fractions() == {"images": 0, "captions": 0.25}
    assert Books(counts, none).reject_fractions() == {"images": 0.25, "captions": 0}


def test_an_output_belongs_to_one_configuration(tmp_path: Path) -> None:
    output = str(tmp_path / "out")
    mine = {"job": "a", "encoder": "lite0", "lists": (("train", "x"),)}
    claims.claim(output, mine, overwrite=False)
    claims.claim(output, mine, overwrite=False)
    other = {**mine, "encoder": "lite1"}
    with pytest.raises(UsageError, match=r"encoder was 'lite0', now 'lite1'.*--overwrite"):
        claims.claim(output, other, overwrite=False)
    claims.claim(output, other, overwrite=True)
    with pytest.raises(UsageError, match="holds the output of a"):
        claims.claim(output, {"job": "b"}, overwrite=True)


def test_a_folder_of_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("x")
    message = r"files that are not of this job, or has lost its configuration\.json"
    with pytest.raises(UsageError, match=message):
        claims.claim(str(tmp_path), {"job": "a"}, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_folder_of_somebody_else_in_an_output_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("lost+found/x", "data/old", "data/new"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
    scandir = os.scandir

    def failing(path: str) -> object:
        if Path(path).name == "lost+found":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", failing)
    output = str(tmp_path)
    claims.claim(output, {"job": "a"}, overwrite=False)
    for name in ("data/old", "data/new", f"{files.TEMPORARY_PREFIX}x"):
        files.write_bytes(f"{output}/{name}", b"{}")
    sweep(Hold(output), ["data"], {"data/new"})
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["new"]
    assert not (tmp_path / f"{files.TEMPORARY_PREFIX}x").exists()
    part = {"data": "data/new", "index": ""}
    manifest = {"generation": 1, "parts": {"p": part}, "files": {"data/new": {"bytes": 2}}}
    files.write_json(f"{output}/generations/1.json", manifest)
    assert captions_table.kept(output) == [1]
    assert [name for name, _ in parts.list_parts(1, output)] == ["p"]


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff"])
def test_a_damaged_claim_is_nobody_s(tmp_path: Path, content: bytes) -> None:
    (tmp_path / claims.NAME).write_bytes(content)
    assert not claims.is_of(str(tmp_path), "caption")
    with pytest.raises(UsageError, match="holds the output of None"):
        claims.claim(str(tmp_path), {"job": "a"}, overwrite=True)


def test_progress_tells_rate_share_and_time_left() -> None:
    counts = {"total": 1000, "done": 240, "rejected": 10, "resumed": 250}
    assert progress.line("caption", counts, 5.0) == (
        "caption: 500 of 1,000 images (250 from an earlier run), 50%, 50 images/s, 0:10 left,"
        " 10 rejected"
    )


def test_progress_of_several_workers_is_summed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress.display(str(tmp_path), "caption"):
        for _ in range(2):
            reporter = progress.Reporter(str(tmp_path), total=10)
            reporter.add(done=4, rejected=1)
            reporter.flush()
    assert "caption: 10 of 10 images, 100%" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_what_a_table_has_no_column_for_is_not_left_out_in_silence(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    with pytest.raises(ValueError, match=r"a\.parquet: no column of the schema is for tone"):
        tables.write(str(path), tables.REJECTS_SCHEMA, [{"key": "a", "tone": "warm"}])
    assert not path.exists()


def test_a_report_survives_json() -> None:
    assert json.loads(json.dumps(dataclasses.asdict(REPORT)))["rejects"][0]["code"] == "image_empty"


def test_a_dry_run_refuses_an_output_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dry_run(output: Path) -> None:
        def build(pipeline: beam.Pipeline, *_: object) -> None:
            pytest.fail("the plan was made")

        parser = options.job_parser("pipeline.caption", "Caption.", "replace")
        flags, _ = parser.parse_known_args([f"--output={output}", "--dry_run"])
        job = launch.Job("caption", str(output), {"job": "pipeline.caption"}, "captions.json")
        launch.start(job, build, build, flags, PipelineOptions([]))

    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=f"^--output={tmp_path}/file/new: {tmp_path}/file is no"):
        dry_run(tmp_path / "file" / "new")
    locked = tmp_path / "locked"
    locked.mkdir()
    # The superuser may write to any folder, whatever its permissions.
    monkeypatch.setattr(os, "access", lambda path, mode: path != locked)
    for output in (locked, locked / "new" / "er"):
        with pytest.raises(UsageError, match=f"^--output={output}: {locked} cannot be written to"):
            dry_run(output)
    assert not list(locked.iterdir())
