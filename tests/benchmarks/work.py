"""Runs for the harness to measure."""

import time
from typing import Any

from benchmarks import child
from transforms.errors import UsageError


def sleep(seconds: float, images: int = 10) -> dict[str, Any]:
    """Take a known time."""
    with child.timed() as section:
        time.sleep(seconds)
    return section.facts(images)


def spend(seconds: float, megabytes: int) -> dict[str, Any]:
    """Use a known CPU time and memory, in a process below."""
    import subprocess
    import sys

    code = (
        f"import time; held = b'x' * {megabytes} * 2**20; end = time.process_time() + {seconds}\n"
        "while time.process_time() < end: pass"
    )
    with child.timed() as section:
        subprocess.run([sys.executable, "-c", code], check=True)
    return section.facts(1)


def lack() -> dict[str, Any]:
    """Need what is not there."""
    import no_such_package_anywhere  # type: ignore[import-not-found]  # that is the point

    return {"images": no_such_package_anywhere}


def break_own() -> dict[str, Any]:
    """Need what is not in the project's own code."""
    from transforms import no_such_name  # type: ignore[attr-defined]  # that is the point

    return {"images": no_such_name}


def refuse() -> dict[str, Any]:
    """Do not run on this machine."""
    raise UsageError("this processor cannot:\nleave it out")


def fail() -> dict[str, Any]:
    """Break."""
    raise ValueError("the reason")
