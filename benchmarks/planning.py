"""What planning and committing cost for many images, and what of it would break first.

    python -m benchmarks.planning --references=1000000

`plan` runs the transforms of `pipeline.caption` from the listing to the units, with a listing and
contents that are made up, so that nothing is read: what is left is the graph itself, in one process
on Beam's local runner, which holds everything that crosses a shuffle. `commit` writes the manifest
of a table with as many parts as that would have, and removes the journals.
"""

from collections.abc import Sequence
from typing import Any

from benchmarks import options, report
from benchmarks.harness import Contender, Measured, compare
from benchmarks.report import megabytes, number
from transforms.commandline import Exit, Parser, positive, run

PROG = "python -m benchmarks.planning"
PARTS = ("plan", "commit")
FACTOR = 10


def main(argv: Sequence[str] | None = None) -> Exit:
    """Run the benchmark.

    Raises:
        UsageError: wrong flags.
    """
    settings = options.parse(build_parser(), argv)
    facts: dict[str, Any] = {"machine": report.machine(), "settings": vars(settings)}
    for part in settings.parts:
        shards = settings.shards if part == "plan" else 1
        counts = sorted({max(1, settings.references // FACTOR), settings.references})
        shares = counts if shards == 1 else _shares(settings.references, shards)
        measured = compare(
            [
                Contender(
                    f"{share:,} references" + (f", shard {number + 1}" if shards > 1 else ""),
                    f"benchmarks.simulations:{part}",
                    {"references": share, "unit_size": settings.unit_size},
                    limit=None,
                )
                for number, share in enumerate(shares)
            ],
            1,
        )
        facts[part] = [one.as_json() for one in measured]
        rows = [_row(one.name, [one]) for one in measured]
        if shards > 1:
            rows.append(_row(f"{settings.references:,} references, {shards} shards", measured))
        header = ["", "time", "a reference", "CPU a reference", "peak memory", "units", "manifest"]
        print(f"\n## {part.capitalize()}\n\n{report.table(header, rows)}")
        if shards == 1 and len(measured) == 2 and not any(one.problem for one in measured):
            few, many = measured
            more = many.median("images") - few.median("images")
            bytes_each = (many.median("peak_bytes") - few.median("peak_bytes")) / more
            print(f"\nEach further reference takes {number(bytes_each)} bytes of memory.")
            facts[f"{part}_bytes_a_reference"] = bytes_each
    report.write(settings.json, facts)
    return Exit.DONE


def _shares(references: int, shards: int) -> list[int]:
    """Return how many references each shard has."""
    return [references // shards + (shard < references % shards) for shard in range(shards)]


def _row(name: str, runs: Sequence[Measured]) -> list[str]:
    """Return a row of the table: the sums of runs, and the highest of their peaks."""

    def total(what: str) -> float:
        return sum(run.median(what) for run in runs)

    images = total("images")
    return [
        name,
        f"{number(total('seconds'))} s",
        f"{number(total('seconds') / images * 1e6)} µs",
        f"{number(total('cpu_seconds') / images * 1e6)} µs",
        megabytes(max(run.median("peak_bytes") for run in runs)),
        number(total("units")),
        megabytes(total("manifest_bytes")),
    ]


def build_parser() -> Parser:
    """Return the parser of the command line."""
    unused = ("images", "count", "rounds")
    parser = options.parser(PROG, "Measure planning.", "planning", PARTS, unused)
    parser.add_argument("--references", type=positive, default=1_000_000, help="made-up images")
    parser.add_argument(
        "--unit_size", type=positive, default=1000, help="images a unit of work, about"
    )
    parser.add_argument(
        "--shards",
        type=positive,
        default=1,
        help="plan in so many processes, one after another, each with its share of the references,"
        " as the workers of a cluster hold them",
    )
    return parser


if __name__ == "__main__":
    run(main)
