"""Beginning with the weights of a captioner that was trained before, on other data or on the same.

Its words keep what they have learned, wherever they stand in the new vocabulary; words that it did
not know begin as drawn. (Zoph et al., 2016, arXiv:1604.02201, carry a whole decoder over in this
way.)
"""

from typing import Any

import keras
import numpy as np

from trainer import command_line
from trainer.configuration import DECODER, Configuration
from trainer.model import Captioner
from transforms import captioner
from transforms.dataset import Dataset
from transforms.errors import UsageError
from transforms.text import RESERVED


def check(configuration: Configuration, dataset: Dataset) -> str:
    """Refuse a captioner that a training could not begin with.

    Args:
        configuration: of the training; `start_from` is the captioner's folder, or empty.
        dataset: that is to be trained on.

    Returns:
        The captioner's digest; empty where drawn weights are begun with.

    Raises:
        UsageError: there is no finished captioner, its encoder or decoder is another, its CNN has
            learned, or it has none of the data set's words.
    """
    folder = configuration.start_from
    if not folder:
        return ""
    manifest = captioner.read_manifest(folder)
    _check_encoder(folder, manifest, dataset)
    before = Configuration.completed(manifest["configuration"])
    # What shaped nothing there need not be the same here.
    idle = Configuration.from_dict(before).idle(cut=False)
    now = configuration.to_dict()
    shaping = (*DECODER, "convolutions", "pixels")
    others = [name for name in shaping if name not in idle and now[name] != before[name]]
    if others:
        flags = " ".join(command_line.flag(name, before[name]) for name in others)
        raise UsageError(f"--start_from={folder}: its decoder is another: it has {flags}")
    known = set(captioner.read_vocabulary(folder).tokens)
    if known.isdisjoint(dataset.vocabulary.tokens[len(RESERVED) :]):
        raise UsageError(
            f"--start_from={folder}: it knows none of the words of {dataset.folder}: is it of"
            " another language?"
        )
    return captioner.digest(manifest)


def initialise(model: Captioner, folder: str, dataset: Dataset) -> int:
    """Give a model the weights of a captioner that `check` lets pass.

    Args:
        model: as drawn for the data set.
        folder: of the captioner, on a local disk or in a bucket.
        dataset: that is to be trained on.

    Returns:
        How many words of the data set's vocabulary the captioner knows, reserved ones included.

    Raises:
        UsageError: a file of the captioner is not the one that was exported.
    """
    places = {word: place for place, word in enumerate(captioner.read_vocabulary(folder).tokens)}
    shared = [new for new, word in enumerate(dataset.vocabulary.tokens) if word in places]
    old = [places[dataset.vocabulary.tokens[new]] for new in shared]
    axes = {id(variable): axis for variable, axis in model.decoder.word_weights()}
    variables = _carried(model)
    for variable, value in zip(
        variables, captioner.load_weights(folder, len(variables)), strict=True
    ):
        axis = axes.get(id(variable))
        if axis is not None:
            drawn = np.moveaxis(np.array(variable.numpy()), axis, 0)
            drawn[shared] = np.moveaxis(value, axis, 0)[old]
            value = np.moveaxis(drawn, 0, axis)
        variable.assign(value)
    return len(shared)


def _carried(model: Captioner) -> list[keras.Variable]:
    """Return the variables that a captioner brings: all but those of a pretrained CNN."""
    rest = model.encoder.variables if model.encoder is not None and model.pretrained else []
    pretrained = {id(variable) for variable in rest}
    return [variable for variable in model.variables if id(variable) not in pretrained]


def _check_encoder(folder: str, manifest: dict[str, Any], dataset: Dataset) -> None:
    before, now = manifest["encoder"], dataset.encoder
    if "rest" in before:
        raise UsageError(
            f"--start_from={folder}: the upper blocks of its CNN belong to it: give one that was"
            " trained on the last map of a CNN, as preprocess --features=grid stores it"
        )
    features = "grid" if dataset.cut else now.get("features")
    same = ("name", "weights") if dataset.cut else ("digest",)
    if before.get("features") == features and all(before.get(n) == now.get(n) for n in same):
        if dataset.cut:
            # Lower and upper blocks together are the CNN whose maps the captioner knows.
            captioner.load_encoder(manifest)
        return
    raise UsageError(
        f"--start_from={folder}: it knows the features ({before.get('features')}) of"
        f" {before['name']}, and {dataset.folder} has others"
        f" ({now.get('features')} of {now['name']}): preprocess with the same --encoder,"
        " --encoder_weights and --features"
    )
