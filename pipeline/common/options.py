"""Flags of the Beam jobs: the job's own, then Beam's, and nothing else."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from transforms.commandline import (
    Parser,
    count,
    fraction,
    positive,
    positive_amount,
    refuse_unknown,
)
from transforms.files import expanded

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

BEAM_HELP = (
    "Any flag of Apache Beam and of the chosen runner may follow, such as --runner=FlinkRunner,"
    " --direct_num_workers or --temp_location."
)

IMAGES_HELP = (
    "folder or quoted glob of images and archives; a tar, zip, WebDataset, Parquet or TFRecord"
    " file; or a list of URIs (txt, csv, tsv, parquet). May be repeated; see docs/sources.md"
)


def job_parser(prog: str, description: str, overwrite: str) -> Parser:
    """Return a parser with the flags that both Beam jobs have.

    Args:
        prog: the command.
        description: what it does, a sentence.
        overwrite: what the job's `--overwrite` does.
    """
    parser = Parser(prog, f"{description} {BEAM_HELP}")
    job = parser.add_argument_group("job")
    job.add_argument("--images", type=expanded, action="append", help=IMAGES_HELP)
    job.add_argument(
        "--truncated", choices=("reject", "accept"), default="reject", help="cut-off images"
    )
    job.add_argument("--output", type=expanded, help="folder or bucket path to write")
    job.add_argument("--overwrite", action="store_true", help=overwrite)
    job.add_argument("--dry_run", action="store_true", help="print the plan and do nothing")
    job.add_argument(
        "--unit_size", type=positive, default=1000, help="images a unit of work, about"
    )
    job.add_argument("--batch_size", type=positive, default=32, help="images a call of the encoder")
    job.add_argument(
        "--readers", type=positive, default=4, help="threads a worker that read and decode"
    )
    job.add_argument(
        "--image_seconds",
        type=positive_amount,
        default=30.0,
        help="time an image may take to decode, before it is refused",
    )
    job.add_argument(
        "--max_reject_fraction",
        type=fraction,
        default=1.0,
        help="exit with status 3 if more than this share of the images, or of the captions read,"
        " is rejected",
    )
    job.add_argument(
        "--wait_for_lock",
        type=count,
        default=0,
        metavar="SECONDS",
        help="how long to wait where another run is at work on the output; 0 to leave at once",
    )
    job.add_argument(
        "--metrics_file",
        type=expanded,
        default="",
        help="where to write the run's metrics for Prometheus, instead of metrics.prom in --output",
    )
    return parser


def parse(
    parser: Parser, argv: Sequence[str] | None
) -> tuple[argparse.Namespace, "PipelineOptions"]:
    """Split a command line into the job's options and Beam's, and tell Beam's file systems of them.

    A pipeline would do that too late: sources and captioners in stores are looked at before.

    Raises:
        UsageError: a flag that neither knows, or a value that does not fit.
    """
    options, rest = parser.parse_known_args(argv)
    beam_options = _beam_options(parser, rest)

    from apache_beam.io.filesystems import FileSystems

    FileSystems.set_options(beam_options)
    return options, beam_options


def _beam_options(parser: Parser, arguments: list[str]) -> "PipelineOptions":
    # Beam itself only logs a flag that it does not know, and runs with the default.
    from apache_beam.options.pipeline_options import PipelineOptions

    from pipeline.common.beam_options import Options

    beam = Parser(parser.prog, "")
    registered = _Registrar(beam)
    for options_class in PipelineOptions.__subclasses__():
        add = getattr(options_class, "_add_argparse_args", None)
        if add is not None:
            add(registered)
    _, unknown = beam.parse_known_args(arguments)
    refuse_unknown(unknown, [*parser.flags(), *beam.flags()], parser.prog)
    return Options(arguments, runner=_runner(arguments))


def _runner(arguments: list[str]) -> str:
    """Return the runner's full name, with the direct one made definite.

    Beam's DirectRunner picks another engine by the shape of the graph and may try to download
    it; here it always means the one that is part of Beam's Python package.
    """
    name = "DirectRunner"
    for position, argument in enumerate(arguments):
        if argument.startswith("--runner="):
            name = argument.split("=", 1)[1]
        elif argument == "--runner" and position + 1 < len(arguments):
            name = arguments[position + 1]
    if name.lower() in ("direct", "directrunner"):
        return "FnApiRunner"
    return name


class _Registrar:
    """Collects the flags that Beam's option classes add, each once."""

    def __init__(self, parser: Parser) -> None:
        self._parser = parser
        self._seen: set[str] = set()

    def add_argument(self, *names: str, **settings: object) -> None:
        if not self._seen.intersection(names):
            self._seen.update(names)
            self._parser.add_argument(*names, **settings)  # type: ignore[arg-type]  # passed on

    def add_value_provider_argument(self, *names: str, **settings: object) -> None:
        self.add_argument(*names, **settings)

    def add_mutually_exclusive_group(self, **settings: object) -> "_Registrar":
        return self
