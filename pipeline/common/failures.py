"""Failures of a pipeline as one line, whichever runner wraps them and however."""

import logging
import re

from transforms.errors import JobError, UsageError

# Runners wrap a worker's exception in others, as text, and Beam adds the name of the step.
_USAGE = re.compile(r"transforms\.errors\.UsageError: (.*?)(?: \[while running|\n|$)", re.DOTALL)
_JOB = re.compile(r"transforms\.errors\.JobError: (.*?)(?: \[while running|\n|$)", re.DOTALL)
_SYSTEM = re.compile(
    r"((?:\w*Error: \[Errno |OSError|FileNotFoundError|PermissionError|BeamIOError)[^\n]*?)"
    r"(?: \[while|\n|$)"
)
# What Beam's local engine says when one of its worker processes is gone.
_DEATH = "Channel closed prematurely"
# A signal that came while Beam's local engine ran a step in the main thread.
_INTERRUPT = "KeyboardInterrupt [while running"
_EXPECTED = (UsageError, JobError, OSError, KeyboardInterrupt)


def translate(error: Exception) -> BaseException:
    """Return what is behind a failure of a pipeline.

    That is UsageError or JobError for what people can mend, KeyboardInterrupt for a signal, and any
    other exception as it is.
    """
    text = f"{type(error).__module__}.{type(error).__name__}: {error}"
    if match := _USAGE.search(text):
        return UsageError(match[1])
    if match := _JOB.search(text):
        return JobError(match[1])
    if match := _SYSTEM.search(text):
        return JobError(f"{match[1]}; what is done stays done: the same command continues")
    if _DEATH in text:
        return JobError(
            "a worker process died, perhaps of an image; what is done stays done: the same command"
            " continues, and gets past the image"
        )
    if _INTERRUPT in text:
        return KeyboardInterrupt()
    return error


def quieten() -> None:
    """Keep Beam from showing the trace of a failure that is reported in one line anyway."""
    logger = logging.getLogger("apache_beam.runners.common")
    if _unexpected not in logger.filters:
        logger.addFilter(_unexpected)


def _unexpected(record: logging.LogRecord) -> bool:
    kind = record.exc_info[0] if record.exc_info else None
    return kind is None or not issubclass(kind, _EXPECTED)
