"""Fine-tuning of the upper blocks of the CNN that made a data set's features."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from trainer.configuration import Configuration
from trainer.model import Captioner
from transforms import encoders
from transforms.dataset import Dataset
from transforms.errors import UsageError


def load_rest(dataset: Dataset) -> keras.Model | None:
    """Load the blocks above a data set's features; None where there are none.

    Raises:
        UsageError: they are not installed, or not those of the CNN that made the features.
    """
    facts = dataset.encoder
    if "rest" not in facts:
        return None
    seed = dataset.manifest["configuration"].get("seed", 0)
    rest = encoders.rest(facts["name"], facts["weights"], cut=facts["features"], seed=seed)
    if encoders.describe_rest(rest) != facts["rest"]:
        raise UsageError(
            f"{dataset.folder}: the upper blocks of {facts['name']} here are not those of the CNN"
            " that made its features: bring that one back, or preprocess again into another folder"
        )
    return rest


def traced(
    captioner: Captioner,
    step: Callable[..., Any],
    signature: Sequence[tf.TypeSpec],
    frozen: Sequence[tf.TypeSpec] | None = None,
) -> Callable[..., Any]:
    """Return a step as two graphs: one for the epochs that fine-tune, and one for the others.

    Args:
        captioner: whose `finetuning` says which is called, and is fixed within each.
        step: what is to be traced.
        signature: of its arguments.
        frozen: the same in the other epochs, where it differs.
    """
    signatures = {False: frozen or signature, True: signature}
    # Nothing in a step is Python's control flow over tensors: to look for it is a third of tracing.
    graphs = {
        mode: tf.function(step, input_signature=each, autograph=False)
        for mode, each in signatures.items()
    }
    return lambda *arguments: graphs[captioner.finetuning](*arguments)


class Optimiser:
    """An optimiser for the decoder, and where it is fine-tuned one of its own for the CNN.

    Adam's steps do not depend on the scale of the gradients, so it is the learning rate that must
    be smaller. And its moments are corrected for having begun at 0 by the number of its steps
    (Kingma and Ba, 2015, section 3): in one optimiser the first steps of a CNN that joins later
    would be several times too long.
    """

    def __init__(self, captioner: Captioner) -> None:
        """Prepare the moments of all weights that will ever learn."""
        self._captioner = captioner
        self._rate = captioner.configuration.cnn_learning_rate
        self._decoder = optimizer(captioner.configuration)
        self._decoder.build(captioner.own_variables)
        self._cnn = optimizer(captioner.configuration)
        # A decay towards 0 would be away from what ImageNet taught.
        self._cnn.exclude_from_weight_decay(var_list=captioner.finetuned_variables)
        self._cnn.build(captioner.finetuned_variables)

    @property
    def learning(self) -> list[tf.Variable]:
        """The variables that `apply` changes now."""
        both = [*self._captioner.own_variables]
        if self._captioner.finetuning:
            both += self._captioner.finetuned_variables
        return [variable.value for variable in both]

    @property
    def variables(self) -> list[tf.Variable]:
        """What one step hands to the next."""
        return [v.value for v in (*self._decoder.variables, *self._cnn.variables)]

    def apply(self, gradients: Sequence[tf.Tensor], rate: tf.Tensor) -> None:
        """Take a step.

        Args:
            gradients: one for each of `learning`.
            rate: the learning rate of the decoder, a scalar.
        """
        own = self._captioner.own_variables
        self._decoder.learning_rate.assign(rate)
        self._decoder.apply(gradients[: len(own)], own)
        if self._captioner.finetuning:
            self._cnn.learning_rate.assign(rate * self._rate)
            self._cnn.apply(gradients[len(own) :], self._captioner.finetuned_variables)


def optimizer(configuration: Configuration) -> keras.optimizers.Optimizer:
    """Make Adam (Kingma and Ba, 2015), or AdamW where there is weight decay."""
    if configuration.weight_decay:
        return keras.optimizers.AdamW(weight_decay=configuration.weight_decay)
    return keras.optimizers.Adam()
