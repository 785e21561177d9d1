"""Running a job's pipeline: claim the output, show progress, turn the end into an exit status."""

import json
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.common import books, claims, progress
from transforms import files
from transforms.commandline import Exit
from transforms.errors import JobError, UsageError

# Runners wrap a worker's exception in others, as text.
_USAGE = re.compile(r"transforms\.errors\.UsageError: (.*?)(?: \[while running|\n|$)", re.DOTALL)
_JOB = re.compile(r"transforms\.errors\.JobError: (.*?)(?: \[while running|\n|$)", re.DOTALL)
_SYSTEM = re.compile(
    r"((?:OSError|FileNotFoundError|PermissionError|BeamIOError)[^\n]*?)(?: \[while|\n|$)"
)


def launch(
    job: str,
    build: Callable[[beam.Pipeline], None],
    options: PipelineOptions,
    *,
    output: str,
    configuration: dict[str, Any],
    overwrite: bool,
    manifest: str,
    max_reject_fraction: float,
) -> Exit:
    """Run a job to its end.

    Args:
        job: its name, for people.
        build: adds the job to a pipeline.
        options: Beam's.
        output: the folder that it writes.
        configuration: what the output is bound to.
        overwrite: whether an output of another configuration may be replaced.
        manifest: file name of the manifest that the job writes last.
        max_reject_fraction: share of rejects above which the status says so.

    Raises:
        UsageError: the output belongs to something else, or nothing is left to do.
        JobError: the job failed; what is done stays done, and the same command continues.
    """
    claims.claim(output, configuration, overwrite)
    with progress.display(output, job):
        _run(build, options)
    return _close(job, output, manifest, max_reject_fraction)


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
    try:
        pipeline = beam.Pipeline(options=options)
        build(pipeline)
        result = pipeline.run()
        result.wait_until_finish()
    except (UsageError, JobError):
        raise
    except Exception as error:
        text = f"{type(error).__module__}.{type(error).__name__}: {error}"
        if match := _USAGE.search(text):
            raise UsageError(match[1]) from error
        if match := _JOB.search(text):
            raise JobError(match[1]) from error
        if match := _SYSTEM.search(text):
            raise JobError(
                f"{match[1]}; what is done stays done: the same command continues"
            ) from error
        raise


def _close(job: str, output: str, manifest: str, max_reject_fraction: float) -> Exit:
    content = json.loads(files.read_bytes(files.join(output, manifest)))
    balance = books.from_json(content["books"])
    counts = balance.images
    print(
        f"{job}: {counts['done']:,} images done, {counts['rejected']:,} rejected,"
        f" {balance.missing:,} missing, {counts['duplicates']:,} duplicates, of"
        f" {counts['listed']:,} listed -> {files.join(output, manifest)}",
        file=sys.stderr,
    )
    share = balance.reject_fraction()
    if share > max_reject_fraction:
        print(
            f"{job}: {share:.1%} of the images were rejected, more than --max_reject_fraction"
            f" ({max_reject_fraction:.1%}); {output}/rejects.parquet says why",
            file=sys.stderr,
        )
        return Exit.TOO_MANY_REJECTS
    return Exit.DONE
