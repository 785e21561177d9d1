"""What a million images cost: CPU, bytes, requests and money, by stage.

    python -m benchmarks.costs --images=1e9

The work of each stage is measured by the other benchmarks. Prices are parameters: the defaults were
assumed, near the list prices of Google Cloud in us-central1; give those that you pay.
"""

import argparse
import dataclasses
from collections.abc import Sequence
from typing import TypeVar

from benchmarks import report
from benchmarks.report import number
from transforms.commandline import Exit, Parser, amount, parse_strictly, positive, run

PROG = "python -m benchmarks.costs"
MILLION = 1_000_000


@dataclasses.dataclass(frozen=True)
class Prices:
    """US dollars.

    Attributes:
        cpu_hour: a virtual CPU for an hour, of a batch worker.
        gigabyte_hour: a gigabyte of its memory for an hour.
        gigabytes_a_cpu: memory that a worker has for each of its CPUs.
        shuffled_gigabyte: through the service's shuffle.
        write_request: class A, writing and listing.
        read_request: class B, reading.
        stored_gigabyte_month: of what is written.
    """

    cpu_hour: float = 0.056
    gigabyte_hour: float = 0.003557
    gigabytes_a_cpu: float = 3.75
    shuffled_gigabyte: float = 0.011
    write_request: float = 0.05 / 10_000
    read_request: float = 0.004 / 10_000
    stored_gigabyte_month: float = 0.02


@dataclasses.dataclass(frozen=True)
class Stage:
    """What a stage does, for one image or for many.

    Attributes:
        name: of the stage.
        cpu_seconds: of one core.
        read_bytes: from the store.
        written_bytes: to the store.
        reads: requests of class B.
        writes: requests of class A.
        shuffled_bytes: through a shuffle.
    """

    name: str
    cpu_seconds: float
    read_bytes: float = 0.0
    written_bytes: float = 0.0
    reads: float = 0.0
    writes: float = 0.0
    shuffled_bytes: float = 0.0

    def dollars(self, prices: Prices) -> float:
        """Return what the stage costs, without storage."""
        hour = prices.cpu_hour + prices.gigabytes_a_cpu * prices.gigabyte_hour
        return (
            self.cpu_seconds / 3600 * hour
            + self.reads * prices.read_request
            + self.writes * prices.write_request
            + self.shuffled_bytes / 1e9 * prices.shuffled_gigabyte
        )

    def times(self, images: float) -> "Stage":
        """Return what the stage of one image does for many."""
        work = {name: value * images for name, value in vars(self).items() if name != "name"}
        return Stage(self.name, **work)


@dataclasses.dataclass(frozen=True)
class Work:
    """What was measured of an image and of a unit; see docs/scaling.md.

    Attributes:
        image_bytes: of a picture's file.
        read, decode, encode, search, write: CPU seconds of an image in each stage.
        plan: CPU seconds of an image in the graph.
        reference_bytes: of a reference as it crosses a shuffle.
        shuffles: that a reference crosses.
        row_bytes: of an image in the table and its index.
        unit_size: images a unit.
        unit_reads, unit_writes: requests of a unit.
        image_reads: requests of an image, all passes.
    """

    image_bytes: float = 110_000
    read: float = 0.00027
    decode: float = 0.00240
    encode: float = 0.00988
    search: float = 0.00231
    write: float = 0.00001
    plan: float = 0.00015
    reference_bytes: float = 200
    shuffles: float = 4
    row_bytes: float = 250
    unit_size: int = 1000
    unit_reads: float = 17
    unit_writes: float = 10
    image_reads: float = 8
    page: int = 1000  # Names that one listing request returns.

    def stages(self) -> list[Stage]:
        """Return the stages of captioning an image."""
        unit = 1 / self.unit_size
        return [
            Stage("list", 0.0, writes=1 / self.page),
            Stage(
                "plan",
                self.plan,
                shuffled_bytes=self.reference_bytes * self.shuffles,
            ),
            Stage(
                "read, twice",
                self.read,
                read_bytes=2 * self.image_bytes,
                reads=self.image_reads,
            ),
            Stage("decode and resize", self.decode),
            Stage("encoder", self.encode),
            Stage("beam search", self.search),
            Stage(
                "write and commit",
                self.write,
                written_bytes=self.row_bytes,
                reads=self.unit_reads * unit,
                writes=self.unit_writes * unit,
            ),
        ]


def total(stages: Sequence[Stage]) -> Stage:
    """Return the sum of stages."""
    fields = [field.name for field in dataclasses.fields(Stage) if field.name != "name"]
    return Stage("all", **{name: sum(getattr(stage, name) for stage in stages) for name in fields})


def table(stages: Sequence[Stage], prices: Prices) -> str:
    """Return the table of what stages cost."""
    rows = []
    for stage in stages:
        rows.append(
            [
                stage.name,
                f"{number(stage.cpu_seconds / 3600)} h",
                f"{number(stage.read_bytes / 1e9)} GB",
                f"{number(stage.written_bytes / 1e9)} GB",
                f"{number(stage.shuffled_bytes / 1e9)} GB",
                number(stage.reads),
                number(stage.writes),
                f"${stage.dollars(prices):,.2f}",
            ]
        )
    header = ["", "CPU", "read", "written", "shuffled", "reads", "writes and lists", "money"]
    return report.table(header, rows)


def main(argv: Sequence[str] | None = None) -> Exit:
    """Print the table and write it as JSON.

    Raises:
        UsageError: wrong flags.
    """
    settings = parse_strictly(build_parser(), argv)
    work, prices = taken(Work, settings), taken(Prices, settings)
    stages = [stage.times(settings.images) for stage in work.stages()]
    everything = total(stages)
    print(f"{settings.images:,.0f} images\n")
    print(table([*stages, everything], prices))
    kept = everything.written_bytes / 1e9
    money = kept * prices.stored_gigabyte_month
    print(f"\nKeeping the {number(kept)} GB that are written costs ${money:,.2f} a month.")
    facts = {
        "settings": vars(settings),
        "stages": [vars(one) | {"dollars": one.dollars(prices)} for one in [*stages, everything]],
        "stored_dollars_month": money,
    }
    report.write(f"{settings.work}/costs.json", facts)
    return Exit.DONE


def build_parser() -> Parser:
    """Return the parser of the command line: a flag for each number."""
    parser = Parser(PROG, "Print what captioning images costs.")
    parser.add_argument("--images", type=amount, default=float(MILLION), help="how many")
    parser.add_argument("--work", default="out/benchmarks", help="folder for costs.json")
    for group in (Work, Prices):
        flags = parser.add_argument_group(group.__name__.lower())
        for field in dataclasses.fields(group):
            flags.add_argument(
                f"--{field.name}",
                # What is whole is divided by.
                type=positive if field.type is int else amount,
                default=field.default,
                help="see the code",
            )
    return parser


T = TypeVar("T", Work, Prices)


def taken(group: type[T], settings: argparse.Namespace) -> T:
    """Return the numbers of a group from the flags."""
    return group(**{f.name: getattr(settings, f.name) for f in dataclasses.fields(group)})


if __name__ == "__main__":
    run(main)
