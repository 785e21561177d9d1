"""How long CIDEr-D takes beside pycocoevalcap's, against references that stay the same.

    python -m benchmarks.cider

Self-critical training scores samples at every step, and a consensus for every picture, against the
same references; `CiderD` prepares them once. Captions are made up: words as frequent as in a
language.
"""

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.child import timed
from benchmarks.harness import Contender, compare
from benchmarks.report import Goal
from transforms.commandline import Exit, Parser, parse_strictly, positive, run

PROG = "python -m benchmarks.cider"
REFERENCES = 5
WORDS = 3000
TIMES = 100  # Of what is fast, in a run.


def main(argv: Sequence[str] | None = None) -> Exit:
    """Run the benchmark.

    Raises:
        UsageError: wrong flags.
    """
    settings = parse_strictly(build_parser(), argv)
    arguments = {"count": settings.count}
    ours, theirs = measured = compare(
        [
            Contender("CiderD", "benchmarks.cider:prepared", arguments),
            Contender("pycocoevalcap", "benchmarks.cider:official", arguments),
        ],
        settings.rounds,
    )
    print(report.contenders(measured, ours))
    goal = Goal("CiderD / pycocoevalcap, images a second", ours.rate / theirs.rate, 20)
    print(f"\n## Goals\n\n{report.goals([goal])}")
    facts = {
        "machine": report.machine(),
        "settings": vars(settings),
        "contenders": [one.as_json() for one in measured],
        "goals": [vars(goal) | {"verdict": goal.verdict}],
    }
    report.write(settings.json or f"{settings.work}/cider.json", facts)
    return Exit.DONE


def build_parser() -> Parser:
    """Return the parser of the command line."""
    parser = Parser(PROG, "Measure CIDEr-D.")
    parser.add_argument("--count", type=positive, default=300, help="images, with 5 captions each")
    parser.add_argument("--rounds", type=positive, default=5, help="runs of each contender")
    parser.add_argument("--work", default="out/benchmarks", help="folder for results")
    parser.add_argument("--json", default="", help="default: cider.json in --work")
    return parser


def prepared(count: int) -> dict[str, Any]:
    """Score a caption for each image with `CiderD`, references prepared before."""
    from transforms.metrics import CiderD

    references, candidates = captions(count)
    scorer = CiderD(references)
    scorer.score(candidates)
    with timed() as section:
        for _ in range(TIMES):
            scorer.score(candidates)
    return section.facts(count * TIMES)


def official(count: int) -> dict[str, Any]:
    """Score the same with pycocoevalcap."""
    from pycocoevalcap.cider.cider import Cider

    references, candidates = captions(count)
    gts = {i: [" ".join(caption) for caption in each] for i, each in enumerate(references)}
    res = {i: [" ".join(caption)] for i, caption in enumerate(candidates)}
    with contextlib.redirect_stdout(io.StringIO()):
        Cider().compute_score(gts, res)
        with timed() as section:
            Cider().compute_score(gts, res)
    return section.facts(count)


def captions(count: int) -> tuple[list[list[list[str]]], list[list[str]]]:
    """Return for each image the words of its references and of a candidate, always the same."""
    random = np.random.default_rng(0)
    # Zipf's law: the n-th word is 1/n as frequent as the first.
    share = 1 / np.arange(1, WORDS + 1)
    share /= share.sum()

    def caption() -> list[str]:
        return [f"w{word}" for word in random.choice(WORDS, random.integers(6, 17), p=share)]

    references = [[caption() for _ in range(REFERENCES)] for _ in range(count)]
    # The beginning of a reference, as captions share phrases with people's.
    return references, [each[0][:4] + caption()[4:] for each in references]


if __name__ == "__main__":
    run(main)
