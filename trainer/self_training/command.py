"""The command line of self-training."""

import argparse
import dataclasses
from typing import Any

from trainer import command_line
from trainer.configuration import CAPTIONERS
from transforms import commandline, files


@dataclasses.dataclass(frozen=True)
class Options:
    """What a run of self-training is told, beside the student's configuration.

    Attributes:
        dataset: folder with people's captions.
        unlabelled: folder of the data set with the other images.
        captioner: folder of the first teacher; empty to train one.
        output: folder to write.
        rounds: how often the student becomes the teacher, and one more.
        weight: of a generated caption.
        distillation: share of the teacher's opinion of each word in what a student learns.
        keep, min_confidence, captions_per_image, max_caption_share, max_ngram_share: see
            `selection.Rules`.
        hypotheses: width of the beam.
        samples: captions drawn for each image.
        sampling_seed: of them.
    """

    dataset: str
    unlabelled: str
    captioner: str
    output: str
    rounds: int
    weight: float
    distillation: float
    keep: float
    min_confidence: float
    captions_per_image: int
    max_caption_share: float
    max_ngram_share: float
    hypotheses: int
    samples: int
    sampling_seed: int


def parser() -> commandline.Parser:
    """Return the command line."""
    result = commandline.Parser(
        prog="python -m trainer.self_training",
        description="Caption unlabelled images with a captioner, keep what is confident and"
        " diverse, and train another on people's captions and these.",
    )
    result.add_argument(
        "--dataset", type=files.expanded, required=True, help="data set with people's captions"
    )
    result.add_argument(
        "--unlabelled",
        type=files.expanded,
        required=True,
        help="data set with other images, such as preprocessing writes with --captions=none;"
        " captions in it are not looked at, and only its split train is used",
    )
    result.add_argument("--output", type=files.expanded, required=True, help="folder to write")
    result.add_argument(
        "--captioner",
        type=files.expanded,
        default="",
        help="captioner that was trained on the data set; without it one is trained first",
    )
    result.add_argument(
        "--rounds",
        type=commandline.positive,
        default=1,
        help="rounds; each round's captioner captions for the next",
    )
    result.add_argument(
        "--weight", type=_weight, default=0.5, help="weight of a generated caption, to 1"
    )
    result.add_argument(
        "--distillation",
        type=commandline.fraction,
        default=0.8,
        help="share of the teacher's opinion of each word in what a student learns, the rest being"
        " the captions, 0 to 1",
    )
    kept = result.add_argument_group("what is kept")
    kept.add_argument(
        "--keep", type=commandline.fraction, default=0.8, help="share of the unlabelled images"
    )
    kept.add_argument(
        "--min_confidence",
        type=commandline.fraction,
        default=0.2,
        help="least geometric mean of the probabilities of a caption's words",
    )
    kept.add_argument(
        "--captions_per_image", type=commandline.positive, default=3, help="captions of an image"
    )
    kept.add_argument(
        "--max_caption_share",
        type=commandline.fraction,
        default=0.001,
        help="share of the unlabelled images that may have the same caption",
    )
    kept.add_argument(
        "--max_ngram_share",
        type=commandline.fraction,
        default=0.01,
        help="share of the unlabelled images whose captions may have the same four words in a row,"
        " or twice people's share where that is more",
    )
    search = result.add_argument_group("search")
    search.add_argument(
        "--hypotheses", type=commandline.positive, default=5, help="width of the beam"
    )
    search.add_argument(
        "--samples",
        type=commandline.positive,
        default=8,
        help="captions drawn at random, with which a good caption agrees",
    )
    search.add_argument(
        "--sampling_seed", type=commandline.count, default=0, help="what decides the samples"
    )
    # Students begin with drawn weights, and have one teacher each.
    command_line.add_flags(result, without=CAPTIONERS)
    return result


def split(values: dict[str, Any]) -> tuple[Options, dict[str, Any]]:
    """Divide parsed flags into options and explicit fields of the student's configuration."""
    names = {field.name for field in dataclasses.fields(Options)}
    options = Options(**{name: values[name] for name in names})
    return options, {name: value for name, value in values.items() if name not in names}


def _weight(text: str) -> float:
    value = commandline.fraction(text)
    if value == 0:
        raise argparse.ArgumentTypeError("a weight of 0 leaves the generated captions out")
    return value
