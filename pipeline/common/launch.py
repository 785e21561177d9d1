"""Running a job's pipeline: lock and claim the output, show progress, report how it ended."""

import argparse
import contextlib
import dataclasses
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions

from pipeline.common import (
    books,
    claims,
    failures,
    locks,
    memory,
    progress,
    refusals,
    run_report,
    signatures,
)
from transforms import files
from transforms.commandline import Exit, shown
from transforms.errors import JobError, UsageError


@dataclasses.dataclass(frozen=True)
class Job:
    """A job to be launched.

    Attributes:
        name: for people.
        output: the folder that it writes.
        configuration: what the output is bound to.
        manifest: file name of the manifest that the job writes last.
        overwrite: whether an output of another configuration may be replaced.
        max_reject_fraction: share of rejects above which the status says so.
        wait_for_lock: seconds to wait for another run on the same output.
        metrics_file: where the metrics go; empty for beside the output.
    """

    name: str
    output: str
    configuration: dict[str, Any]
    manifest: str
    overwrite: bool = False
    max_reject_fraction: float = 1.0
    wait_for_lock: float = 0
    metrics_file: str = ""


def start(
    job: Job,
    build: Callable[[beam.Pipeline, locks.Hold], None],
    build_dry_run: Callable[[beam.Pipeline, str], None],
    flags: argparse.Namespace,
    options: PipelineOptions,
) -> Exit:
    """Do what a command line asks for: run a job, or with `--dry_run` print what it would do.

    Args:
        job: see `launch`; what the flags say of it is filled in here.
        build: likewise.
        build_dry_run: see `dry_run`.
        flags: of `pipeline.common.options.job_parser`.
        options: Beam's.

    Raises:
        UsageError: see `launch`.
        JobError: likewise.
    """
    with refusals.told(job.name, flags):
        if flags.dry_run:
            claims.check(job.output, job.configuration, flags.overwrite)
        claims.check_writable(job.output)
    if flags.dry_run:
        print(dry_run(build_dry_run, options))
        return Exit.DONE
    job = dataclasses.replace(
        job,
        overwrite=flags.overwrite,
        max_reject_fraction=flags.max_reject_fraction,
        wait_for_lock=flags.wait_for_lock,
        metrics_file=files.absolute(flags.metrics_file) if flags.metrics_file else "",
    )
    return launch(job, build, options)


def launch(
    job: Job, build: Callable[[beam.Pipeline, locks.Hold], None], options: PipelineOptions
) -> Exit:
    """Run a job to its end, alone on its output.

    Args:
        job: what and where.
        build: adds the job to a pipeline; what commits it must check that the run still holds the
            output.
        options: Beam's.

    Raises:
        UsageError: the output belongs to something else, or nothing is left to do.
        JobError: another run is at work on the output, or took it over; or the job failed: what
            is done stays done, and the same command continues.
    """
    if options.view_as(GoogleCloudOptions).template_location:
        # Dataflow runs the graph later, without this command: the service keeps two runs of a
        # job's name apart, and the commit leaves the counts.
        claims.claim(job.output, job.configuration, job.overwrite)
        _run(lambda pipeline: build(pipeline, locks.Hold(job.output)), options)
        return Exit.DONE
    with _terminable() as end, contextlib.ExitStack() as stack:
        started = time.time()
        try:
            hold = stack.enter_context(locks.held(job.output, job.wait_for_lock, end))
        except (OSError, UsageError) as error:
            refusals.tell(job.output, job.name, error, started, job.metrics_file)
            raise
        started = time.time()
        try:
            claims.claim(job.output, job.configuration, job.overwrite)
        except UsageError as error:
            refusals.tell(job.output, job.name, error, started, job.metrics_file, locked=True)
            raise
        run_report.forget(job.output)
        status, message = Exit.FAILED, "interrupted"
        try:
            with progress.display(job.output, job.name):
                _run(lambda pipeline: build(pipeline, hold), options)
            status, message = _close(job), ""
        except Exception as error:
            status, message = run_report.outcome(error)
            raise
        finally:
            _report(job, hold, status, started, message)
    return status


def dry_run(build: Callable[[beam.Pipeline, str], None], options: PipelineOptions) -> str:
    """Run only the plan, in this process, and return its summary for people.

    Args:
        build: adds the plan to a pipeline and writes its summary to the path it is given.
        options: Beam's; the runner is replaced.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "plan.txt"))
        local = PipelineOptions.from_dictionary(
            {**options.get_all_options(drop_default=True), "runner": "FnApiRunner"}
        )
        _run(lambda pipeline: build(pipeline, path), local)
        return Path(path).read_text().rstrip()


def _run(build: Callable[[beam.Pipeline], None], options: PipelineOptions) -> None:
    failures.quieten()
    # Local runners plan and work in this process; other workers see to it themselves.
    memory.steady()
    signatures.remember()
    try:
        pipeline = beam.Pipeline(options=options)
        build(pipeline)
        result = pipeline.run()
        result.wait_until_finish()
    except Exception as error:
        translated = failures.translate(error)
        if translated is error:
            raise
        raise translated from error


def _close(job: Job) -> Exit:
    report = run_report.read(job.output)
    if "books" not in report:
        raise JobError(
            f"{files.join(job.output, run_report.NAME)}: the counts of the run are gone; what it"
            " committed is there, and the same command counts anew"
        )
    balance = books.from_json(report["books"])
    counts = balance.images
    manifest = files.join(job.output, job.manifest)
    committed = f"{counts['committed']:,} already there, " if "committed" in counts else ""
    resumed = f" ({report['resumed']:,} by an interrupted run)" if report.get("resumed") else ""
    print(
        f"{job.name}: {counts['done']:,} images done{resumed}, {committed}"
        f"{counts['rejected']:,} rejected,"
        f" {balance.missing:,} missing, {counts['duplicates']:,} duplicates, of"
        f" {counts['listed']:,} listed -> {manifest}",
        file=sys.stderr,
    )
    captions = balance.captions
    if captions.get("listed"):
        print(
            f"{job.name}: {captions['done']:,} captions done, {captions['rejected']:,} rejected,"
            f" {captions['duplicates']:,} duplicates, of {captions['listed']:,} listed",
            file=sys.stderr,
        )
    if "malformed" in report:
        example = shown(report["malformed"])
        print(f"{job.name}: malformed rows, such as {example}", file=sys.stderr)
    if not report.get("changed", True):
        print(f"{job.name}: nothing new: {manifest} stays as it is", file=sys.stderr)
    status = Exit.DONE
    for name, share in balance.reject_fractions().items():
        if share > job.max_reject_fraction:
            print(
                f"{job.name}: {share:.1%} of the {name} were rejected, more than"
                f" --max_reject_fraction ({job.max_reject_fraction:.1%});"
                f" {job.output}/rejects.parquet says why",
                file=sys.stderr,
            )
            status = Exit.TOO_MANY_REJECTS
    return status


def _report(job: Job, hold: locks.Hold, status: Exit, started: float, message: str) -> None:
    try:
        # Beside an output that was lost lies the report of the run that has it.
        if hold.stands():
            run_report.close(job.output, job.name, status, started, message, job.metrics_file)
    except OSError as error:
        # What the run was for is done, or has failed for a better reason than this.
        print(f"{job.name}: the metrics cannot be written: {error}", file=sys.stderr)


@contextlib.contextmanager
def _terminable() -> Iterator[Callable[[], None]]:
    """Let SIGTERM, by which schedulers end a job, end it as Ctrl-C does: the lock is given back.

    Yields what ends it so from another thread.
    """

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    main = threading.main_thread()
    if threading.current_thread() is not main:
        yield lambda: None
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        # To this thread, or it would sleep on.
        yield lambda: signal.pthread_kill(cast(int, main.ident), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
