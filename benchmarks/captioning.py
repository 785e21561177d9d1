"""How fast `pipeline.caption` is: beside its parts, beside others, with more workers and images.

    python -m benchmarks.captioning
    python -m benchmarks.captioning --images=photos --captioner=out/captioner

Prints tables and writes the same as JSON. All comparisons are made in one run on the same images,
in turn, and the median counts. The peers need `pip install -e '.[peers]'`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import options, photos, report
from benchmarks.harness import Contender, Measured, compare
from benchmarks.report import Goal, number, percent
from trainer import quantize
from transforms import captioner
from transforms.commandline import Exit, Parser, positive, run
from transforms.engines import PRECISIONS

PROG = "python -m benchmarks.captioning"
# Each part with the flag that says how many pictures it takes.
PARTS = {
    "parts": "count",
    "peers": "peer_images",
    "workers": "count",
    "growth": "many",
    "precision": "count",
}
STAGES = ("read", "decode and resize", "encoder", "beam search", "write")


class Peer(NamedTuple):
    """What others offer.

    Attributes:
        function: that runs it, `module:function` of `benchmarks.peers`.
        wanted: how often as fast the job is to be; None where nothing is asked.
        share: of the job's images, as many as it needs to be timed well.
    """

    function: str
    wanted: float | None
    share: float = 1.0


PEERS = {
    "tf.data and Keras": Peer("tf_data:run", 1.8),
    "Beam RunInference": Peer("run_inference:run", 1.5),
    "Ray Data": Peer("ray_data:run", 1.5),
    "Keras loop": Peer("keras_loop:run", None, 0.1),
    "ViT-GPT2": Peer("hugging_face:vit_gpt2", 60.0, 0.012),
    "BLIP-base": Peer("hugging_face:blip", 150.0, 0.008),
}


def main(argv: Sequence[str] | None = None) -> Exit:
    """Run the benchmark.

    Raises:
        UsageError: wrong flags, no captioner, or too few pictures.
    """
    parser = build_parser()
    settings = options.parse(parser, argv)
    options.refuse_few_pictures(settings, [PARTS[part] for part in settings.parts])
    options.refuse_unknown("peer", settings.peers, PEERS)
    options.convert(settings)
    facts: dict[str, Any] = {"machine": report.machine(), "settings": vars(settings)}
    goals: list[Goal] = []
    job = None
    for part in settings.parts:
        if part == "parts":
            measured, found = parts(settings)
            job = measured
        elif part == "peers":
            measured, found = peers(settings, job)
        elif part == "workers":
            measured, found = workers(settings)
        elif part == "growth":
            measured, found = growth(settings)
        else:
            measured, found = precision(settings), []
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
    parser = options.parser(PROG, "Measure captioning.", "captioning", tuple(PARTS))
    options.add_captioner(parser)
    options.add_search(parser)
    parser.add_argument(
        "--peers",
        type=lambda text: text.split(","),
        default=list(PEERS),
        help=f"those of `peers` to run, separated by commas; default: {','.join(PEERS)}",
    )
    parser.add_argument("--peer_images", type=positive, default=600, help="images for the peers")
    parser.add_argument(
        "--many", type=positive, default=10_000, help="images of the larger run of `growth`"
    )
    return parser


def parts(settings: argparse.Namespace) -> tuple[list[Measured], list[Goal]]:
    """Measure the job and each of its stages alone."""
    images, warm = options.pictures(settings, settings.count), options.warm(settings)
    some = photos.take(images, min(settings.count, 500), settings.work)
    searched = {"captioner": settings.captioner, **options.search(settings)}
    goals: list[Goal] = []
    everything: list[Measured] = []
    shared = [
        Contender("read", "benchmarks.stages:read", {"images": some}),
        Contender(
            "decode and resize",
            "benchmarks.stages:decode",
            {"images": some, "captioner": settings.captioner},
        ),
        Contender("write", "benchmarks.stages:write", {"count": 1000}),
    ]
    per_engine = [
        [
            job(f"beamcap, {engine}", images, warm, settings, engine),
            Contender(
                f"encoder, {engine}",
                "benchmarks.stages:encode",
                {"images": some, "captioner": settings.captioner, "engine": engine},
            ),
            Contender(
                f"beam search, {engine}",
                "benchmarks.stages:search",
                {"images": some, "engine": engine, **searched},
            ),
        ]
        for engine in settings.engines
    ]
    measured = compare([*shared, *(one for three in per_engine for one in three)], settings.rounds)
    found = {one.name: one for one in measured}
    for engine in settings.engines:
        whole = found[f"beamcap, {engine}"]
        stages = [found.get(stage) or found[f"{stage}, {engine}"] for stage in STAGES]
        print(f"\n## {engine}: the job and its stages, each alone on all cores\n")
        print(stage_table(whole, stages))
        goals += stage_goals(engine, whole, stages, 0.65)
        everything += [whole]
    return [*everything, *(one for one in measured if one not in everything)], goals


def stage_table(whole: Measured, stages: Sequence[Measured]) -> str:
    """Return the table of a job and its stages."""
    rows = []
    for one in [*stages, whole]:
        share = one.seconds_per_image / whole.seconds_per_image
        rows.append(
            [
                one.name if not one.problem else f"{one.name}: {one.problem[:60]}",
                percent(share),
                f"{number(one.seconds_per_image * 1000)} ms",
                number(one.rate),
                f"{number(one.cpu_seconds_per_image * 1000)} ms",
                report.megabytes(one.median("peak_bytes")),
            ]
        )
    header = ["", "of the job's time", "an image", "images/s", "CPU an image", "peak memory"]
    cpu = sum(one.cpu_seconds_per_image for one in stages) / whole.cpu_seconds_per_image
    # What else runs on the machine disturbs this less.
    return f"{report.table(header, rows)}\n\nBy CPU time the stages are {percent(cpu)} of the job."


def stage_goals(
    engine: str, whole: Measured, stages: Sequence[Measured], share: float
) -> list[Goal]:
    """Return what the stages say of the job: nothing between them, and the encoder first."""
    total = sum(stage.seconds_per_image for stage in stages)
    encoder = next(stage for stage in stages if stage.name.startswith("encoder"))
    return [
        Goal(f"{engine}: sum of the stages / job", total / whole.seconds_per_image, 0.90),
        Goal(
            f"{engine}: encoder / job", encoder.seconds_per_image / whole.seconds_per_image, share
        ),
    ]


def peers(
    settings: argparse.Namespace, measured: Sequence[Measured] | None
) -> tuple[list[Measured], list[Goal]]:
    """Measure what others offer, on the same images, in turn with the job."""
    count = settings.peer_images
    searched = {"captioner": settings.captioner, **options.search(settings)}
    generated = {"beam_width": settings.beam_width, "words": 12}
    images = options.pictures(settings, count)

    def folder(share: float) -> str:
        least = 8 if count >= 100 else 2
        return photos.take(images, max(least, round(count * share)), settings.work)

    own = [(f"beamcap, {engine}", engine, "fp32") for engine in settings.engines]
    # What the goals are for comes first.
    also = [
        (f"beamcap, {engine}, bf16", engine, "bf16")
        for engine in settings.engines
        if engine in PRECISIONS["bf16"]
    ]
    warm = options.warm(settings)
    contenders = [
        job(name, images, warm, settings, engine, [f"--precision={precision}"])
        for name, engine, precision in own + also
    ]
    for name, peer in PEERS.items():
        if name not in settings.peers:
            continue
        generates = peer.function.startswith("hugging_face:")
        arguments = {"images": folder(peer.share), **(generated if generates else searched)}
        target = f"benchmarks.peers.{peer.function}"
        contenders.append(Contender(name, target, arguments, once=generates))
    result = compare(contenders, settings.rounds)
    ours = max(
        (one for one in result[: len(own)] if not one.problem),
        key=lambda one: one.rate,
        default=result[0],
    )
    print(f"\n## Beside others\n\n{report.contenders(result, ours)}")
    goals = [
        Goal(f"{ours.name} / {one.name}", ours.rate / one.rate, asked.wanted)
        for one in result
        if (asked := PEERS.get(one.name)) and asked.wanted
    ]
    return result, goals


def workers(settings: argparse.Namespace) -> tuple[list[Measured], list[Goal]]:
    """Measure two worker processes beside one that has one core.

    Processes start anew with each job: the time of a small job is taken off that of a large one.
    """
    engine = settings.engines[-1]
    few, many = max(1, settings.count // 4), settings.count
    two = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]
    measured = []
    contenders = []
    for name, cores, flags in (("one worker, one core", 1, []), ("two workers", 0, two)):
        for count in (few, many):
            folder = options.pictures(settings, count)
            contenders.append(
                job(
                    f"{name}, {count} images",
                    folder,
                    "",
                    settings,
                    engine,
                    [*flags, f"--unit_size={max(1, few // 8)}"],
                    cores,
                )
            )
    found = compare(contenders, settings.rounds)
    for name, small, large in (
        ("one worker, one core", found[0], found[1]),
        ("two workers", found[2], found[3]),
    ):
        measured.append(slope(name, small, large))
    print(f"\n## Workers ({engine})\n\n{report.contenders(measured, measured[-1])}")
    ratio = measured[1].rate / measured[0].rate
    return [*measured, *found], [Goal("two workers / one worker on one core", ratio, 1.85)]


def slope(name: str, small: Measured, large: Measured) -> Measured:
    """Return what an image costs in a large job that it does not cost in a small one."""
    problem = small.problem or large.problem
    result = Measured(name, problem=problem)
    if not problem:
        result.runs = [
            {
                "images": large.median("images") - small.median("images"),
                "seconds": large.median("seconds") - small.median("seconds"),
                "cpu_seconds": large.median("cpu_seconds") - small.median("cpu_seconds"),
                "peak_bytes": large.median("peak_bytes"),
            }
        ]
    return result


def growth(settings: argparse.Namespace) -> tuple[list[Measured], list[Goal]]:
    """Measure ten times as many images."""
    engine = settings.engines[-1]
    contenders = [
        job(
            f"{count:,} images",
            options.pictures(settings, count),
            options.warm(settings),
            settings,
            engine,
        )
        for count in (max(1, settings.many // 10), settings.many)
    ]
    few, many = measured = compare(contenders, settings.rounds)
    print(f"\n## More images ({engine})\n\n{report.contenders(measured, many)}")
    memory = many.median("peak_bytes") / few.median("peak_bytes")
    time = many.seconds_per_image / few.seconds_per_image
    return measured, [
        Goal(f"time an image, {many.name} / {few.name}", time, 1.10, most=True),
        Goal(f"peak memory, {many.name} / {few.name}", memory, 1.10, most=True),
    ]


def precision(settings: argparse.Namespace) -> list[Measured]:
    """Measure the encoder and the job in each precision of each engine."""
    images, warm = options.pictures(settings, settings.count), options.warm(settings)
    some = photos.take(images, min(settings.count, 500), settings.work)
    folder = quantised(settings, some)
    chosen = argparse.Namespace(**{**vars(settings), "captioner": folder})
    contenders = []
    for engine in settings.engines:
        for each in (name for name, able in PRECISIONS.items() if engine in able):
            arguments = {
                "images": some,
                "captioner": folder,
                "engine": engine,
                "precision": each,
            }
            name, flags = f"{engine}, {each}", [f"--precision={each}"]
            contenders += [
                Contender(f"encoder, {name}", "benchmarks.stages:encode", arguments),
                job(f"job, {name}", images, warm, chosen, engine, flags),
            ]
    measured = compare(contenders, settings.rounds)
    print(f"\n## Precisions\n\n{precision_table(measured)}")
    return measured


def precision_table(measured: Sequence[Measured]) -> str:
    """Return the table of precisions, each beside the same in fp32."""
    found = {one.name: one for one in measured}
    rows = []
    for one in measured:
        fp32 = found[one.name.rsplit(", ", 1)[0] + ", fp32"]
        cpu = fp32.cpu_seconds_per_image / one.cpu_seconds_per_image
        rows.append(
            [
                one.name if not one.problem else f"{one.name}: {one.problem[:60]}",
                number(one.rate),
                f"{number(one.cpu_seconds_per_image * 1000)} ms",
                number(one.rate / fp32.rate),
                number(cpu),
            ]
        )
    header = ["", "images/s", "CPU an image", "as fast as fp32", "by CPU"]
    return report.table(header, rows)


def quantised(settings: argparse.Namespace, images: str) -> str:
    """Return a captioner with an int8 encoder, made of one that has none where need be."""
    facts = captioner.read_manifest(settings.captioner)
    if "int8" in facts:
        return settings.captioner
    folder = Path(settings.work, f"int8-{captioner.digest(facts)[:16]}")
    if not folder.exists():
        # How fast it is does not depend on the pictures.
        quantize.write(settings.captioner, [images], 100, folder)
    return str(folder)


def job(
    name: str,
    images: str,
    warm: str,
    settings: argparse.Namespace,
    engine: str,
    flags: Sequence[str] = (),
    cores: int = 0,
) -> Contender:
    """Return the job as a contender; the page, which is one cost a job, is left out."""
    arguments = {
        "module": "pipeline.caption",
        "images": images,
        "warm": warm,
        "flags": [
            f"--captioner={settings.captioner}",
            "--search=beam",
            f"--beam_width={settings.beam_width}",
            f"--length_penalty={settings.length_penalty}",
            "--page_images=0",
            f"--engine={engine}",
            *flags,
        ],
    }
    return Contender(name, "benchmarks.jobs:run", arguments, cores)


if __name__ == "__main__":
    run(main)
