"""Score captions against references and write a page to look at. Needs no Beam.

python -m pipeline.evaluate --captions=out/captions --references=captions.token.txt --output=report
python -m pipeline.evaluate --captions=out/captions --dataset=out/dataset --output=report
"""

import argparse
import json
import logging
import sys
from collections.abc import Mapping, Sequence

from pipeline.common import claims
from pipeline.evaluating import given
from pipeline.evaluating.report import MANIFEST, PAGE, Work, digests, left_out, write
from transforms import annotations, candidates, files, references, sources, text
from transforms.candidates import Candidate
from transforms.commandline import Exit, Parser, parse_strictly, run, shown
from transforms.errors import UsageError
from transforms.metrics import Scorer
from transforms.splits import SPLITS

PROG = "python -m pipeline.evaluate"
FORMATS = tuple(name for name in annotations.FORMATS if name != "folders")


def main(argv: Sequence[str] | None = None) -> Exit:
    """Evaluate; returns the exit status.

    Raises:
        UsageError: wrong input, found before anything is scored.
    """
    options = parse_strictly(build_parser(), argv)
    work = resolve(options)
    counts = work.joined.counts
    print(
        f"evaluate: {counts['evaluated']:,} images with {counts['references']:,} references,"
        f" tokenizer {work.tokenizer}",
        file=sys.stderr,
    )
    for note in [*work.notes, *left_out(work)]:
        print(f"evaluate: {shown(note)}", file=sys.stderr)
    if options.dry_run:
        return Exit.DONE
    logging.basicConfig(format="evaluate: %(message)s")
    texts = {candidate.key: candidate.caption for candidate in work.chosen}
    scorer = Scorer(work.joined.references, tokenizer=work.tokenizer)
    result, constant, floor = scorer.score_beside_floor(texts)
    write(options.output, work, result, constant, floor, options.images)

    print(f"{'':8}{'captions':>10}{'floor':>10}")
    for name in result.scores:
        print(f"{name:8}{result.scores[name]:10.3f}{floor.scores[name]:10.3f}")
    print(f"floor: {constant!r} for every image")
    print(f"page: {files.join(options.output, PAGE)}")
    return Exit.DONE


def build_parser() -> Parser:
    """Return the parser of the command's flags."""
    parser = Parser(PROG, "Score captions against references and write a page to look at.")
    add = parser.add_argument
    add("--captions", type=files.expanded, help=f"what is judged: {candidates.FORMATS}")
    add(
        "--references",
        type=files.expanded,
        help="captions that people wrote, in any format that preprocess reads",
    )
    add(
        "--dataset",
        type=files.expanded,
        help="instead of --references, a data set of pipeline.preprocess: its captions of --split",
    )
    add("--references_format", choices=("auto", *FORMATS), default="auto", help="their format")
    add("--output", type=files.expanded, help="folder or bucket path to write")
    add(
        "--images",
        type=files.expanded,
        help="folder of the images, for the page, where the captions' own are not known or gone",
    )
    add("--keys", type=files.expanded, help="file that lists the images to evaluate, one a line")
    add(
        "--split",
        choices=SPLITS,
        help="references of this split alone; those of a data set are of test if it is not named",
    )
    add(
        "--tokenizer",
        choices=("auto", *text.TOKENIZERS),
        default="auto",
        help="how words are found; auto goes by the references' script, or by the data set",
    )
    add("--overwrite", action="store_true", help="replace a report of other inputs")
    add("--dry_run", action="store_true", help="print what would be evaluated and stop")
    return parser


def resolve(options: argparse.Namespace) -> Work:
    """Read and join the inputs.

    Raises:
        UsageError: the first thing that is wrong.
    """
    _check_flags(options)
    if options.images:
        options.images = files.absolute(options.images)
        sources.check(options.images, "--images")
    _check_output(options)
    listed = _listed(options.keys) if options.keys else None
    judged = candidates.read(options.captions)
    if options.dataset:
        written = given.of_dataset(options.dataset, options.split, judged)
    else:
        written = given.of_file(options.references, options.references_format)
    joined = references.join(judged, written.annotations, only=listed, split=options.split)
    if written.malformed:
        joined.counts["references_malformed"] = len(written.malformed)
        joined.examples["references_malformed"] = [
            reject.message for reject in written.malformed[: references.EXAMPLES]
        ]
    if not joined.references:
        raise UsageError(_nothing_in_common(options, judged, written))
    tokenizer = written.tokenizer if options.tokenizer == "auto" else options.tokenizer
    configuration = _configuration(options)
    chosen = [candidate for candidate in judged if candidate.key in joined.references]
    return Work(
        judged,
        chosen,
        joined,
        tokenizer,
        _other_script(options, chosen, joined.references),
        {**configuration, "references_format": written.format, "tokenizer": tokenizer},
        # Now: by the end of the scoring, another run may have made a newer table.
        digests(configuration),
    )


def _check_flags(options: argparse.Namespace) -> None:
    """Refuse flags that are missing or do not go together, and settle a data set's split."""
    against = options.references or options.dataset
    for value, name, example in (
        (options.captions, "captions", "--captions=out/captions"),
        (against, "references", "--references=captions.token.txt, or --dataset=out/dataset"),
        (options.output, "output", "--output=out/report"),
    ):
        if not value:
            raise UsageError(f"--{name} is missing: for example {example}")
    if options.dataset:
        if options.references:
            raise UsageError("--references and --dataset: a report is against one; leave one out")
        if options.references_format != "auto":
            raise UsageError("--references_format is for --references: leave it out with --dataset")
        options.split = options.split or "test"


def _configuration(options: argparse.Namespace) -> dict[str, str | None]:
    names = ("captions", "references", "references_format", "dataset", "images", "keys", "split")
    return {name: getattr(options, name) for name in (*names, "tokenizer")}


def _check_output(options: argparse.Namespace) -> None:
    """Refuse to replace the report of other inputs, or to write where that is impossible."""
    output = options.output
    claims.check_writable(output)
    path = files.join(output, MANIFEST)
    if options.overwrite or not files.exists(path):
        return
    try:
        there = dict(json.loads(files.read_bytes(path))["configuration"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: this is no report; name another --output") from error
    ours = _configuration(options)
    # What the earlier report resolved from `auto` may stand for the same inputs.
    for name in ("captions", "references", "dataset", "keys", "split"):
        if (value := there.get(name)) != ours[name]:
            flag = f"without --{name}" if value is None else f"with --{name}={value}"
            raise UsageError(
                f"--output={output}: there is a report {flag}; name another --output, or add"
                " --overwrite"
            )


def _listed(path: str) -> list[str]:
    names = list(annotations.read_names(files.open_read, path, "--keys"))
    if not names:
        raise UsageError(f"--keys={path}: it is empty; list the images' names, one a line")
    return names


def _other_script(
    options: argparse.Namespace,
    chosen: Sequence[Candidate],
    written: Mapping[str, Sequence[str]],
) -> list[str]:
    """Return a note where either captions or references are in a script with spaces."""
    captions = [candidate.caption for candidate in chosen if candidate.caption]
    people = [caption for several in written.values() for caption in several]
    scripts = {text.choose_tokenizer(each) == "words" for each in (captions, people)}
    if not captions or len(scripts) == 1:
        return []
    return [
        f"Most captions in {options.captions} (such as: {captions[0]}) are in another script than"
        f" most references in {options.references or options.dataset} (such as: {people[0]}), and"
        " words that differ in script score 0: give references in the captions' language."
    ]


def _nothing_in_common(
    options: argparse.Namespace,
    judged: Sequence[Candidate],
    written: given.Given,
) -> str:
    limits = [f"--{name}={getattr(options, name)}" for name in ("keys", "split")]
    limits = [limit for limit in limits if not limit.endswith("=None")]
    remedy = (
        "caption the images of the data set"
        if options.dataset
        else "give the references of the same images"
    )
    return (
        f"no caption in {options.captions} (such as {judged[0].key}) has references in"
        f" {options.dataset or options.references}"
        + (f" (such as {written.annotations[0].name})" if written.annotations else "")
        + (f" within {' and '.join(limits)}" if limits else "")
        + f": {remedy}, by the same names"
    )


if __name__ == "__main__":
    run(main)
