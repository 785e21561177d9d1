"""How many requests a captioning job makes of a bucket, for an image and for a unit of work.

    python -m benchmarks.requests

Runs the job on a store of this machine that speaks Google Cloud Storage, as the tests have it, with
several numbers of images and units, and solves for what each costs. Needs `.[dev]`.
"""

import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import jobs, options, photos, report
from benchmarks.report import number
from transforms.commandline import Exit, Parser, run

PROG = "python -m benchmarks.requests"
KINDS = ("GET", "list", "POST", "DELETE")
# Images and images a unit, of each run.
RUNS = ((20, 20), (60, 20), (60, 6))


def main(argv: Sequence[str] | None = None) -> Exit:
    """Run the benchmark.

    Raises:
        UsageError: wrong flags, or no captioner.
    """
    from tests.faults.bucket import Bucket

    settings = options.parse(build_parser(), argv)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder, closing(Bucket(Path(folder))) as bucket:
        os.environ |= bucket.environment
        seen: Counter[str] = Counter()

        def count(method: str, path: str) -> int:
            seen[kind(method, path)] += 1
            return 0

        for turn, (images, unit_size) in enumerate(RUNS):
            for path in photos.paths(photos.folder(settings.work, images, (96, 72))):
                jobs.upload(path, f"gs://bucket/in{turn}/{Path(path).name}")
            seen.clear()
            bucket.fault = count
            units = jobs.in_bucket(
                settings.captioner,
                f"gs://bucket/in{turn}",
                f"gs://bucket/out{turn}",
                [f"--unit_size={unit_size}", f"--engine={settings.engines[-1]}"],
            )
            rows.append({"images": images, "units": units, **{k: seen[k] for k in KINDS}})
    slopes = solve(rows)
    lines = [[name, *(number(each[k]) for k in KINDS)] for name, each in slopes.items()]
    print(report.table(["", *KINDS], lines))
    facts = {"machine": report.machine(), "settings": vars(settings)}
    report.write(settings.json, {**facts, "runs": rows, "requests": slopes})
    return Exit.DONE


def solve(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Return the requests of each kind that a job makes once, and for an image and a unit.

    Args:
        rows: of each run, its images, its units, and its requests of each kind.
    """
    facts = np.array([[1, row["images"], row["units"]] for row in rows])
    requests = np.array([[row[k] for k in KINDS] for row in rows])
    # Rounded, and with no zero below zero: a kind that is never asked for costs 0.
    solved = (np.linalg.lstsq(facts, requests, rcond=None)[0].round(6) + 0.0).tolist()
    names = ("a job", "an image", "a unit")
    return {
        name: dict(zip(KINDS, line, strict=True)) for name, line in zip(names, solved, strict=True)
    }


def kind(method: str, path: str) -> str:
    """Return what a request counts as: a listing is a GET of the objects of a bucket."""
    if method == "GET" and path.split("?")[0].endswith("/o"):
        return "list"
    return "POST" if method in ("POST", "PUT", "PATCH") else method


def build_parser() -> Parser:
    """Return the parser of the command line."""
    unused = ("images", "count", "rounds")
    parser = options.parser(PROG, "Count requests.", "requests", ("requests",), unused)
    options.add_captioner(parser)
    return parser


if __name__ == "__main__":
    run(main)
