"""The process of one run: calls a function by name, so that peaks and thread pools do not mix.

    python -m benchmarks.child <result file> <module:function> <JSON arguments>

The function returns a JSON-able dictionary. What cannot run here, because a package is absent,
raises `AbsentError`.
"""

import contextlib
import importlib
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import processes
from transforms.errors import UsageError

CORES = os.cpu_count() or 1
OWN = ("benchmarks", "pipeline", "trainer", "transforms")  # What is no package to install.


class AbsentError(Exception):
    """A package that a run needs is not installed; the message is its name."""


class Section:
    """A part of a run that is timed.

    Attributes:
        seconds: of the clock.
        cpu_seconds: of all cores, of this process and its descendants.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def facts(self, images: int, **more: Any) -> dict[str, Any]:
        """Return what a run reports: images and what they cost."""
        return {
            "images": images,
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            **more,
        }


@contextlib.contextmanager
def timed() -> Iterator[Section]:
    """Time a block."""
    section = Section()
    cpu = processes.use(os.getpid()).cpu_seconds
    start = time.perf_counter()
    yield section
    section.seconds = time.perf_counter() - start
    section.cpu_seconds = processes.use(os.getpid()).cpu_seconds - cpu


def main() -> None:
    """Run the function that the command line names and leave what it returns in a file."""
    path, name, arguments = sys.argv[1:]
    module, function = name.split(":")
    try:
        result = getattr(importlib.import_module(module), function)(**json.loads(arguments))
    except AbsentError as error:
        result = {"absent": str(error)}
    except UsageError as error:
        # Such as a precision that this processor has not: one line, not where it was found.
        sys.exit(f"error: {' '.join(str(error).split())}")
    except ImportError as error:
        if error.name is None or error.name.split(".")[0] in OWN:
            raise
        result = {"absent": error.name}
    Path(path).write_text(json.dumps(result))


if __name__ == "__main__":
    main()
