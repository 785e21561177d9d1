"""How fast the trainer is, beside a plain top-down decoder in PyTorch.

    python -m benchmarks.training --dataset=out/flickr8k/dataset

`speed` trains the same architecture with both for some steps, `decoders` those of the project with
the defaults; `target` trains the project's recipe and the PyTorch decoder until they caption dev
equally well. PyTorch needs `pip install -e '.[peers]'`.
"""

import argparse
import math
from collections.abc import Sequence
from typing import Any

from benchmarks import options, report, trainings
from benchmarks.harness import Contender, Measured, compare
from benchmarks.report import Goal, number, percent
from transforms.commandline import Exit, Parser, fraction, positive, run
from transforms.errors import UsageError

PROG = "python -m benchmarks.training"
PARTS = ("speed", "decoders", "target")
SHOWN = 8
THIRD = 1 / 3


def main(argv: Sequence[str] | None = None) -> Exit:
    """Run the benchmark.

    Raises:
        UsageError: wrong flags, or no data set.
    """
    settings = options.parse(build_parser(), argv)
    check(settings)
    facts: dict[str, Any] = {"machine": report.machine(), "settings": vars(settings)}
    goals: list[Goal] = []
    measure = {"speed": speed, "decoders": decoders, "target": target}
    for part in settings.parts:
        measured, found = measure[part](settings)
        facts[part] = [one.as_json() for one in measured]
        goals += found
        # What is known is kept, however the rest ends.
        report.write(settings.json, facts)
    if goals:
        print(f"\n## Goals\n\n{report.goals(goals)}")
    facts["goals"] = [vars(goal) | {"verdict": goal.verdict} for goal in goals]
    report.write(settings.json, facts)
    return Exit.DONE


def build_parser() -> Parser:
    """Return the parser of the command line."""
    from trainer.presets import PRESETS

    parser = options.parser(PROG, "Measure training.", "training", PARTS, ("images", "count"))
    parser.add_argument("--dataset", required=True, help="folder that pipeline.preprocess wrote")
    parser.add_argument("--target", type=fraction, default=0.44, help="dev CIDEr to train until")
    parser.add_argument(
        "--preset",
        choices=sorted(PRESETS),
        default="fast",
        help="the project's recipe",
    )
    parser.add_argument(
        "--steps", type=positive, default=12, help="steps that are timed but for `target`"
    )
    parser.add_argument(
        "--max_minutes", type=positive, default=90, help="training of `target` that is given up"
    )
    parser.add_argument("--epochs", type=positive, default=30, help="most epochs of PyTorch's")
    return parser


def check(settings: argparse.Namespace) -> None:
    """Refuse a data set that neither decoder could train on."""
    from transforms.dataset import open_dataset

    data = open_dataset(settings.dataset)
    if data.feature_shape is None or len(data.feature_shape) != 3:
        raise UsageError(
            f"--dataset={settings.dataset}: it has no grids of features: preprocess with"
            " --features=grid"
        )
    for split in ("train", "dev"):
        if not data.images(split):
            raise UsageError(f"--dataset={settings.dataset}: the split {split} has no images")


def speed(settings: argparse.Namespace) -> tuple[list[Measured], list[Goal]]:
    """Measure tokens a second of the same architecture."""
    arguments = {"dataset": settings.dataset, "steps": settings.steps}
    measured = compare(
        [
            Contender(
                "beamcap, top-down",
                "benchmarks.trainings:our_speed",
                {**arguments, "flags": trainings.SAME},
            ),
            Contender("PyTorch, top-down", "benchmarks.trainings:torch_speed", arguments),
        ],
        settings.rounds,
    )
    rates = [one.median("tokens_per_second") for one in measured]
    rows = [
        [
            one.name if not one.problem else f"{one.name}: {one.problem.splitlines()[0][:60]}",
            f"{number(rates[0] / rate)} x",
            number(rate),
            number(one.median("weights")),
            report.megabytes(one.median("peak_bytes")),
        ]
        for one, rate in zip(measured, rates, strict=True)
    ]
    header = ["", "beamcap is", "tokens/s", "weights", "peak memory"]
    print(f"\n## The same architecture and batch\n\n{report.table(header, rows)}")
    for one in measured:
        if one.runs:
            print(f"\n### Where the time of a step goes: {one.name}\n")
            print(profile_table(one.runs[-1]["profile"]))
    return measured, [Goal("tokens/s, beamcap / PyTorch", rates[0] / rates[1], 1.5)]


def decoders(settings: argparse.Namespace) -> tuple[list[Measured], list[Goal]]:
    """Measure tokens a second of the project's decoders."""
    arguments = {"dataset": settings.dataset, "steps": settings.steps}
    measured = compare(
        [
            Contender(name, "benchmarks.trainings:our_speed", {**arguments, "flags": flags})
            for name, flags in trainings.DECODERS.items()
        ],
        settings.rounds,
    )
    first = measured[0].median("tokens_per_second")
    rows = [
        [
            one.name,
            number(one.median("tokens_per_second")),
            f"{number(first / one.median('tokens_per_second'))} x",
            number(one.median("weights")),
            report.megabytes(one.median("peak_bytes")),
        ]
        for one in measured
    ]
    header = ["", "tokens/s", "time of a pass", "weights", "peak memory"]
    print(f"\n## Decoders\n\n{report.table(header, rows)}")
    return measured, []


def profile_table(spent: dict[str, float]) -> str:
    """Return the table of the operations that cost most."""
    total = sum(spent.values()) or 1.0
    largest = sorted(spent.items(), key=lambda pair: -pair[1])[:SHOWN]
    rows = [[name, percent(seconds / total), f"{seconds:.3f} s"] for name, seconds in largest]
    rest = total - sum(seconds for _, seconds in largest)
    rows.append(["the rest", percent(rest / total), f"{rest:.3f} s"])
    return report.table(["operation", "share", "CPU time"], rows)


def target(settings: argparse.Namespace) -> tuple[list[Measured], list[Goal]]:
    """Measure the time until the target."""
    shared = {
        "dataset": settings.dataset,
        "target": settings.target,
        "most": settings.max_minutes * 60,
    }
    measured = compare(
        [
            Contender(
                f"beamcap, {settings.preset}",
                "benchmarks.trainings:ours",
                {**shared, "preset": settings.preset, "flags": {}},
                limit=None,
            ),
            Contender(
                "PyTorch, top-down",
                "benchmarks.trainings:torch",
                {**shared, "epochs": settings.epochs},
                limit=None,
            ),
        ],
        1,
    )
    times = [one.median("target_seconds") for one in measured]
    rows, spent = [], []
    for one, seconds in zip(measured, times, strict=True):
        epochs = one.runs[0]["epochs"] if one.runs else []
        best = max((epoch["dev_cider"] for epoch in epochs), default=float("nan"))
        spent.append(epochs[-1]["seconds"] if epochs else float("nan"))
        rows.append([one.name, number(seconds), number(best), number(spent[-1]), str(len(epochs))])
    header = ["", "seconds to the target", "best dev CIDEr", "seconds trained", "epochs"]
    print(f"\n## Until dev CIDEr {settings.target}\n\n{report.table(header, rows)}")
    return measured, [share_of_time(times, spent[1])]


def share_of_time(times: Sequence[float], spent: float) -> Goal:
    """Return the goal of the project's time to the target, as a share of PyTorch's.

    Args:
        times: seconds to the target of both; nan for one that did not get there.
        spent: seconds that PyTorch trained in any case.
    """
    name = "time to the target, beamcap / PyTorch"
    if not math.isnan(times[1]):
        return Goal(name, times[0] / times[1], THIRD, most=True)
    # Given up before the target: it would have taken longer, and nobody knows how much.
    share = times[0] / spent
    return Goal(f"{name}, at most", share if share <= THIRD else math.nan, THIRD, most=True)


if __name__ == "__main__":
    run(main)
