"""Choose the size of a captioner, or any other setting, by cross-validation.

    python -m trainer.tune --dataset=dataset --output=search --search=units:128,256,512

The same command continues a search that was killed; more --trials make it longer.
"""

import dataclasses
import importlib.util
import sys
from collections.abc import Sequence

from trainer import command_line, presets, task
from trainer.configuration import CAPTIONERS, Configuration
from trainer.tuning import space
from transforms import commandline, files, tensorflow_start
from transforms.commandline import Exit
from transforms.dataset import Dataset, open_dataset
from transforms.errors import UsageError

FOLDS, DEV = "folds", "dev"


def parser() -> commandline.Parser:
    """Return the command line."""
    result = commandline.Parser(
        prog="python -m trainer.tune",
        description="Choose the settings of a captioner by k-fold cross-validation over the"
        " training images.",
    )
    result.add_argument(
        "--dataset", type=files.expanded, required=True, help="folder that preprocessing wrote"
    )
    result.add_argument("--output", type=files.expanded, required=True, help="folder of the search")
    result.add_argument(
        "--search",
        action="append",
        default=[],
        metavar="NAME:VALUES",
        help="setting with what to try, such as units:128,256,512 or dropout:0.0..0.5 or"
        " learning_rate:1e-4..3e-3:log; may be repeated (default: " + " ".join(space.DEFAULT) + ")",
    )
    result.add_argument(
        "--preset",
        choices=sorted(presets.PRESETS),
        default=presets.DEFAULT,
        help=f"recipe whose values hold where nothing is searched or given. {presets.described()}",
    )
    result.add_argument("--trials", type=commandline.positive, default=20, help="settings to try")
    result.add_argument(
        "--folds", type=commandline.positive, default=5, help="parts of train, each held out once"
    )
    result.add_argument(
        "--validation",
        choices=(FOLDS, DEV),
        default=FOLDS,
        help="judge by the held-out folds of train, or once by the split dev",
    )
    result.add_argument(
        "--search_seed",
        type=commandline.seed,
        default=0,
        help="what decides the folds and the order of trials",
    )
    result.add_argument(
        "--max_minutes",
        type=commandline.positive_amount,
        help="start no trial that would end after these",
    )
    # Trials are judged by beam search, and captioners may have seen the folds.
    command_line.add_flags(result, without=("search", *CAPTIONERS))
    return result


def main(argv: Sequence[str] | None = None) -> Exit:
    """Run the command.

    Raises:
        UsageError: wrong flags or input, before work starts.
    """
    explicit = vars(commandline.parse_strictly(parser(), argv))
    source, output = explicit.pop("dataset"), explicit.pop("output").rstrip("/")
    searched, preset = explicit.pop("search"), explicit.pop("preset")
    trials, count = explicit.pop("trials"), explicit.pop("folds")
    validation, seed = explicit.pop("validation"), explicit.pop("search_seed")
    max_minutes = explicit.pop("max_minutes")
    parameters = space.parse_all(searched, list(explicit))
    base = presets.resolve(preset, explicit)
    if files.is_remote(output):
        raise UsageError(f"--output={output}: a search is written to a local disk only")
    if validation == FOLDS and count < 2:
        raise UsageError(
            "--folds=1 leaves nothing to train on: give 2 or more, or --validation=dev"
        )
    dataset = open_dataset(source)
    task.check_splits(dataset, ("train", "dev") if validation == DEV else ("train",))
    if validation == FOLDS and dataset.manifest.get("generated"):
        raise UsageError(
            f"{source}: some of its captions were written by a captioner, and folds of train would"
            " be judged by them: give --validation=dev"
        )
    task.check_references(dataset, base)
    if not base.epochs:
        raise UsageError("--epochs=0 leaves nothing to judge: give 1 or more")
    if not searched:
        base, parameters = space.narrowed(base, parameters, dataset.grid_shape)
    space.check_useful(base, parameters, explicit, dataset.cut)
    _check_installed()
    tensorflow_start.start()
    _check_loaded(dataset, base, parameters)
    from trainer.tuning import folds, report, search
    from trainer.tuning.journal import Journal

    divided: list[folds.Fold | None] = [None]
    if validation == FOLDS:
        found = folds.divide(count, seed)
        sizes = folds.sizes(found, (r.key for r in dataset.records("train") if not r.view))
        if min(sizes) < 2:
            raise UsageError(
                f"{source}: {sum(sizes)} training images are too few for {count} folds: one of"
                f" them has {min(sizes)}, and CIDEr needs 2; give fewer --folds"
            )
        divided = [*found]
    identity = {
        "dataset": dataset.digest,
        # Trials are compared by beam search, whatever the captioner is to be searched by.
        "base": {name: value for name, value in base.to_dict().items() if name != "search"},
        "search": {each.name: dataclasses.asdict(each) for each in parameters},
        "validation": validation,
        "folds": count if validation == FOLDS else 1,
        "seed": seed,
        **_judging(dataset, validation),
    }
    plan = search.Plan(base, parameters, divided, trials, seed, max_minutes)
    journal = Journal(output, identity)
    done = search.Search(dataset, plan, output, journal).run()
    best = report.write(output, done, plan, dataset)
    print(f"{output}/tuning.html: best CIDEr {best['cider']:.4f}", file=sys.stderr)
    print(best["command"])
    return Exit.DONE


def _judging(dataset: Dataset, validation: str) -> dict[str, str]:
    """Return how scores are taken, as a part of a search's identity.

    Nothing where it was never otherwise: folds with views were once judged by their views too.
    """
    views = dataset.examples("train") > dataset.images("train")
    return {"judged_by": "images without views"} if validation == FOLDS and views else {}


def _check_loaded(
    dataset: Dataset, base: Configuration, parameters: Sequence[space.Parameter]
) -> None:
    """Refuse what every trial would refuse when it loads data, a CNN's blocks or word vectors.

    Raises:
        UsageError: see `examples.check_readable`, `finetuning.load_rest` and `word_vectors.read`;
            or sizes of words are searched that the vectors do not have.
    """
    from trainer import examples, finetuning, word_vectors

    examples.check_readable(dataset.folder)
    finetuning.load_rest(dataset)
    searched = {each.name: each.values for each in parameters}
    paths = searched.get("word_vectors", (base.word_vectors,))
    if any(paths) and "embedding" in searched:
        raise UsageError(
            "--search=embedding: the vectors of --word_vectors have one size: give that to"
            " --embedding, and leave it out of the search"
        )
    for path in paths:
        word_vectors.check(dataclasses.replace(base, word_vectors=path), dataset.vocabulary.tokens)


def _check_installed() -> None:
    if importlib.util.find_spec("optuna") is None:
        raise UsageError("the choice of settings needs Optuna: pip install -e '.[tune]'")


if __name__ == "__main__":
    commandline.run(main)
