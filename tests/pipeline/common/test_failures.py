"""What a runner says of a failure, as one line for people."""

import pytest

from pipeline.common import failures
from transforms.errors import JobError, UsageError


@pytest.mark.parametrize(
    ("text", "kind", "line"),
    [
        (
            "transforms.errors.UsageError: no image is left [while running 'Commit']",
            UsageError,
            "no image is left",
        ),
        (
            "IsADirectoryError: [Errno 21] Is a directory: '/out/a' [while running 'Encode']\nmore",
            JobError,
            "IsADirectoryError: [Errno 21] Is a directory: '/out/a'; what is done stays done",
        ),
        ("RuntimeError: Channel closed prematurely.", JobError, "a worker process died"),
        ("KeyboardInterrupt [while running 'Caption']", KeyboardInterrupt, ""),
        ("KeyError: 'defect'", RuntimeError, "KeyError: 'defect'"),
    ],
)
def test_failures_become_the_line_that_they_hold(text: str, kind: type, line: str) -> None:
    found = failures.translate(RuntimeError(text))
    assert type(found) is kind
    assert str(found).startswith(line)
