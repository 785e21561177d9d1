"""Whether `pipeline.caption` needs more memory or time an image for ten times as many images.

    python -m benchmarks.memory

Whole jobs in processes that begin, with small images: plan, captions, books, and then a second run
on the same output, which compares everything with the table and finds nothing to do.
"""

import argparse
from collections.abc import Sequence
from typing import Any

from benchmarks import captioning, options, photos, report
from benchmarks.harness import compare
from benchmarks.report import Goal, megabytes, number
from transforms.commandline import Exit, Parser, run

PROG = "python -m benchmarks.memory"
SIZE = (96, 72)
FACTOR = 10


def main(argv: Sequence[str] | None = None) -> Exit:
    """Run the benchmark.

    Raises:
        UsageError: wrong flags, no captioner, or too few pictures.
    """
    settings = options.parse(build_parser(), argv)
    options.refuse_few_pictures(settings, ["count"])
    engine = settings.engines[-1]
    options.convert(settings)
    contenders = []
    for count in (max(1, settings.count // FACTOR), settings.count):
        contender = captioning.job(
            f"{count:,} images", _pictures(settings, count), "", settings, engine
        )
        contender.arguments["again"] = True
        contenders.append(contender)
    measured = few, many = compare(contenders, settings.rounds)
    rows = [
        [
            one.name,
            megabytes(one.median("peak_bytes")),
            number(one.rate),
            f"{number(one.median('seconds'))} s",
            f"{number(one.median('rerun_seconds'))} s",
        ]
        for one in measured
    ]
    header = ["", "peak memory", "images/s", "first run", "nothing new"]
    print(f"\n## Memory ({engine})\n\n{report.table(header, rows)}")
    slope = captioning.slope("slope", few, many)
    memory = many.median("peak_bytes") / few.median("peak_bytes")
    goals = [
        Goal(f"peak memory, {many.name} / {few.name}", memory, 1.10, most=True),
        Goal(
            # Of a job with start-up: what the further images cost, beside what the first did.
            f"time an image, the further ones / the first {few.median('images'):,.0f}",
            slope.seconds_per_image / few.seconds_per_image,
            1.10,
            most=True,
        ),
    ]
    print(f"\n## Goals\n\n{report.goals(goals)}")
    facts: dict[str, Any] = {"machine": report.machine(), "settings": vars(settings)}
    facts["memory"] = [one.as_json() for one in measured]
    facts["goals"] = [vars(goal) | {"verdict": goal.verdict} for goal in goals]
    report.write(settings.json, facts)
    return Exit.DONE


def build_parser() -> Parser:
    """Return the parser of the command line."""
    parser = options.parser(PROG, "Measure memory.", "memory", ("memory",))
    options.add_captioner(parser)
    options.add_search(parser)
    parser.set_defaults(count=20_000, rounds=1)
    return parser


def _pictures(settings: argparse.Namespace, count: int) -> str:
    if settings.images:
        return photos.take(settings.images, count, settings.work)
    return photos.folder(settings.work, count, SIZE)


if __name__ == "__main__":
    run(main)
