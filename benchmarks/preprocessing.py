"""How fast `pipeline.preprocess` is: beside its parts, and beside others.

    python -m benchmarks.preprocessing

Prints tables and writes the same as JSON. All comparisons are made in one run on the same images,
in turn, and the median counts.
"""

import argparse
from collections.abc import Sequence
from typing import Any

from benchmarks import options, photos, report
from benchmarks.captioning import stage_goals, stage_table
from benchmarks.harness import Contender, Measured, compare
from benchmarks.report import Goal
from transforms.commandline import Exit, Parser, run

PROG = "python -m benchmarks.preprocessing"
PARTS = ("parts", "peers")


def main(argv: Sequence[str] | None = None) -> Exit:
    """Run the benchmark.

    Raises:
        UsageError: wrong flags, or too few pictures.
    """
    settings = options.parse(build_parser(), argv)
    options.refuse_few_pictures(settings, ["count"])
    facts: dict[str, Any] = {"machine": report.machine(), "settings": vars(settings)}
    goals: list[Goal] = []
    for part in settings.parts:
        measured, found = parts(settings) if part == "parts" else peers(settings)
        facts[part] = [one.as_json() for one in measured]
        goals += found
        # What is known is kept, however the rest ends.
        report.write(settings.json, facts)
    print(f"\n## Goals\n\n{report.goals(goals)}")
    facts["goals"] = [vars(goal) | {"verdict": goal.verdict} for goal in goals]
    report.write(settings.json, facts)
    return Exit.DONE


def build_parser() -> Parser:
    """Return the parser of the command line."""
    parser = options.parser(PROG, "Measure preprocessing.", "preprocessing", PARTS)
    parser.add_argument("--encoder", default="efficientnet-lite0", help="see pipeline.preprocess")
    return parser


def parts(settings: argparse.Namespace) -> tuple[list[Measured], list[Goal]]:
    """Measure the job and each of its stages alone."""
    some = photos.take(
        options.pictures(settings, settings.count), min(settings.count, 500), settings.work
    )
    size, shape = _shapes(settings.encoder)
    encoder = {"images": some, "encoder": settings.encoder}
    whole, *stages = compare(
        [
            job(settings),
            Contender("read", "benchmarks.stages:read", {"images": some}),
            Contender(
                "decode and resize", "benchmarks.stages:resize", {"images": some, "size": size}
            ),
            Contender("encoder", "benchmarks.stages:encode_features", encoder),
            Contender("write", "benchmarks.stages:write_records", {"images": some, "shape": shape}),
        ],
        settings.rounds,
    )
    print("\n## The job and its stages, each alone on all cores\n")
    print(stage_table(whole, stages))
    return [whole, *stages], stage_goals("preprocess", whole, stages, 0.75)


def peers(settings: argparse.Namespace) -> tuple[list[Measured], list[Goal]]:
    """Measure what one would write without the project, on the same images."""
    images = options.pictures(settings, settings.count)
    few = photos.take(images, max(2, settings.count // 10), settings.work)
    features = "benchmarks.peers.features"
    measured = compare(
        [
            job(settings),
            Contender(
                "tf.data and Keras",
                f"{features}:tf_data",
                {"images": images, "encoder": settings.encoder},
            ),
            Contender(
                "Keras loop",
                f"{features}:keras_loop",
                {"images": few, "encoder": settings.encoder},
            ),
        ],
        settings.rounds,
    )
    print(f"\n## Beside others\n\n{report.contenders(measured, measured[0])}")
    return measured, []


def job(settings: argparse.Namespace) -> Contender:
    """Return the job as a contender."""
    arguments = {
        "module": "pipeline.preprocess",
        "images": options.pictures(settings, settings.count),
        "warm": options.warm(settings),
        # A file of captions for a thousand drawn pictures has few words, and small splits.
        "flags": [f"--encoder={settings.encoder}", "--min_count=1"],
        "captions": True,
    }
    return Contender("beamcap", "benchmarks.jobs:run", arguments)


def _shapes(encoder: str) -> tuple[list[int], list[int]]:
    """Return the (height, width) that an encoder takes, and the shape of its features."""
    from transforms import encoders, tensorflow_start

    tensorflow_start.start()
    loaded = encoders.load(encoder)
    return list(loaded.input_size), list(loaded.output_shape)


if __name__ == "__main__":
    run(main)
