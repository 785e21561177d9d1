"""Telling those who watch of a command that ends before its run begins."""

import argparse
import contextlib
import sys
import time
from collections.abc import Iterator

from transforms.errors import JobError, UsageError
from transforms.files import absolute


@contextlib.contextmanager
def told(job: str, flags: argparse.Namespace) -> Iterator[None]:
    """Report an error of the block as the end of a run, unless another run is at work.

    Args:
        job: name of the job.
        flags: of `pipeline.common.options.job_parser`.
    """
    started = time.time()
    try:
        yield
    except Exception as error:
        if flags.output and not flags.dry_run:
            metrics_file = absolute(flags.metrics_file) if flags.metrics_file else ""
            tell(absolute(flags.output), job, error, started, metrics_file)
        raise


def tell(
    output: str,
    job: str,
    error: Exception,
    started: float,
    metrics_file: str,
    *,
    locked: bool = False,
) -> None:
    """Report a command that ended before its run; what cannot be written is said and no error.

    Args:
        output: of the job.
        job: its name.
        error: why the command ended.
        started: when it began, in seconds since 1970.
        metrics_file: where to write the metrics; empty for beside the output.
        locked: whether this command holds the output.
    """
    # Here: most commands have nothing to tell, and begin faster without Arrow.
    from pipeline.common import claims, locks, run_report

    try:
        with contextlib.ExitStack() as stack:
            # What no lock can be written to is told of in a metrics file elsewhere.
            with contextlib.suppress(OSError):
                if not locked and claims.is_of(output, job):
                    # A folder of something else is left as it is, without a lock as well.
                    stack.enter_context(locks.held(output, watch=False))
            run_report.refuse(output, job, error, started, metrics_file)
    except JobError:
        # The run that has the output tells of itself.
        pass
    except (OSError, UsageError) as fault:
        print(f"{job}: not all of the report can be written: {fault}", file=sys.stderr)
