"""Caption images with a trained captioner: those of folders, archives, tables, lists, buckets.

python -m pipeline.caption --images=photos --captioner=out/captioner --output=out/captions
"""

import argparse
from collections.abc import Sequence

from pipeline.captioning import search_flags
from pipeline.captioning.settings import Settings
from pipeline.common import options as flags
from pipeline.common import refusals
from pipeline.common.performance import Performance, workers
from transforms.commandline import Exit, Parser, count, run
from transforms.engines import ENGINES, PRECISIONS
from transforms.errors import UsageError
from transforms.files import absolute, expanded

PROG = "python -m pipeline.caption"


def main(argv: Sequence[str] | None = None) -> Exit:
    """Run the job; returns its exit status.

    Raises:
        UsageError: wrong input, found before or by the plan.
        JobError: the job failed.
    """
    parser = build_parser()
    options, beam_options = flags.parse(parser, argv)
    with refusals.told("caption", options):
        settings = resolve(options)
    performance = Performance(options.readers, options.image_seconds, workers(beam_options))

    from pipeline.captioning import job
    from pipeline.common import launch

    return launch.start(
        launch.Job("caption", settings.output, settings.claim(), "captions.json"),
        lambda pipeline, hold: job.build(pipeline, settings, performance, hold),
        lambda pipeline, path: job.build_dry_run(pipeline, settings, performance, path),
        options,
        beam_options,
    )


def build_parser() -> Parser:
    """Return the parser of the command's own flags."""
    parser = flags.job_parser(
        PROG,
        "Caption images: of folders, globs, archives, tables and lists, on disks and in buckets.",
        overwrite="begin the table anew: caption all images that are listed, and drop the rows of"
        " those that are not",
    )
    inputs = parser.add_argument_group("input")
    inputs.add_argument(
        "--captioner",
        type=expanded,
        action="append",
        help="folder that trainer.task wrote; of several, the mean of their probabilities decides",
    )
    inputs.add_argument(
        "--language",
        choices=("en", "zh"),
        help="without --captioner: take the captioner of this language that comes with the package;"
        " default: en",
    )
    inputs.add_argument(
        "--fast",
        action="store_true",
        help="likewise: take one that is some 1.7 times as fast and describes less well; the"
        " Chinese one is of that kind",
    )
    inputs.add_argument(
        "--engine",
        choices=("auto", *ENGINES),
        default="auto",
        help="what runs the captioner; auto: TensorFlow on a GPU, else the first of the others"
        " that is installed. See docs/engines.md",
    )
    inputs.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="fp32",
        help="of the encoder; bf16 takes OpenVINO and a processor that computes in it, int8 a"
        " captioner that trainer.quantize has made, and another engine than tensorflow",
    )
    search_flags.add(parser)
    table = parser.add_argument_group("table")
    table.add_argument(
        "--details",
        type=search_flags.details,
        default="",
        help="columns to add: words (the score of each word), attention (also where the captioner"
        " looked for each word)",
    )
    table.add_argument(
        "--recaption",
        choices=("never", "changed_model", "all"),
        default="changed_model",
        help="rows to make again though their image is the same: none, those of another captioner"
        " or search, or all",
    )
    table.add_argument(
        "--retain",
        type=count,
        default=1,
        help="older generations of the table that stay readable",
    )
    table.add_argument(
        "--merge_above",
        type=count,
        default=20,
        help="data files of less than half a unit of images that the table may have; more are"
        " merged",
    )
    table.add_argument(
        "--export",
        action="append",
        choices=("jsonl", "coco"),
        default=[],
        help="write captions.jsonl or COCO's results JSON as well; repeated, both",
    )
    table.add_argument(
        "--page_images",
        type=count,
        default=100,
        help="images that captions.html shows; 0 for no page",
    )
    return parser


def resolve(options: argparse.Namespace) -> Settings:
    """Check every flag against the world and return what the job is to do.

    Raises:
        UsageError: the first thing that is wrong.
    """
    from transforms import bundled, captioner, captioners, engines, ngrams, sources, text

    if options.captioner and options.language:
        raise UsageError("--captioner and --language: a captioner has its language; give one only")
    if options.captioner and options.fast:
        raise UsageError("--captioner and --fast: a captioner has its speed; give one only")
    shipped = bundled.captioner(options.language or "en", fast=options.fast)
    if not options.captioner and shipped:
        options.captioner = [shipped]
        options.language = options.language or "en"
    for name, example in (("images", "photos"), ("captioner", "captioner"), ("output", "captions")):
        if not getattr(options, name):
            raise UsageError(f"--{name} is missing: for example --{name}=out/{example}")
    manifests = [captioner.read_manifest(folder) for folder in options.captioner]
    digests = [
        engines.digest(folder, manifest, options.precision)
        for folder, manifest in zip(options.captioner, manifests, strict=True)
    ]
    # Here and not in a worker, so that all have the same.
    engine = engines.resolve(options.engine, options.captioner, options.precision)
    found = search_flags.resolve(options, options.captioner, manifests)
    if found["search"].method == "consensus":
        digests.append(manifests[0]["files"][ngrams.NAME]["sha256"])
    tokenizer = manifests[0]["text"]["tokenizer"]
    search_flags.check_details(options.details, options.captioner, manifests)
    images = tuple(absolute(spec) for spec in options.images)
    for spec in images:
        sources.check(spec, "--images")
    return Settings(
        images=images,
        output=absolute(options.output),
        captioners=tuple(map(absolute, options.captioner)),
        captioner_digest="+".join(digests),
        forms=tuple(captioners.forms(manifests)),
        **found,
        details=options.details,
        exports=tuple(sorted(set(options.export))),
        page_images=options.page_images,
        unit_size=options.unit_size,
        truncated=options.truncated,
        batch_size=options.batch_size,
        recaption=options.recaption,
        retain=options.retain,
        merge_above=options.merge_above,
        engine=engine,
        precision=options.precision,
        overwrite=options.overwrite,
        language=options.language or text.language(tokenizer),
        image_seconds=options.image_seconds,
    )


if __name__ == "__main__":
    run(main)
