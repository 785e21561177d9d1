"""Knowledge distillation: learning from what others think of each next word.

A teacher's probabilities say more of a word than the one caption in which it stands: which others
would have done (Hinton et al., 2015, arXiv:1503.02531; for sequences, word by word, Kim and Rush,
2016, arXiv:1606.07947). Several teachers are averaged as an ensemble is.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf

from trainer import precision
from trainer.configuration import Configuration
from trainer.distribution import Replicas
from trainer.model import Captioner
from trainer.noise import Noise
from trainer.packing import Packing
from trainer.teacher import Teacher, checked_manifest, note_pictures
from transforms import captioner
from transforms.dataset import Dataset
from transforms.errors import UsageError


class Teachers:
    """Captioners of one vocabulary and one kind of features, as they are.

    Attributes:
        share: of their probabilities in what is learned, the rest being the captions'.
    """

    def __init__(
        self, models: Sequence[Captioner], share: float, precision: str, mixup: float = 0.0
    ) -> None:
        """Take the captioners.

        Args:
            models: at least one.
            share: see above.
            precision: in which they compute, the flag's value.
            mixup: see `mix`.
        """
        self._models, self.share, self._precision = models, share, precision
        self._mixup = mixup

    def mix(self, inputs: tf.Tensor, noise: Noise) -> tf.Tensor:
        """Mix another image of the batch into half of the images (Zhang et al., 2018, "mixup").

        No caption fits such an image, but teachers have an opinion of it all the same: where they
        are asked of more than they learned by heart, a student comes to think as they do (Beyer
        et al., 2022, arXiv:2106.05237).

        Args:
            inputs: features or pixels [B, ...].
            noise: the batch's, which draws the other's shares, each from 0 to `mixup`.

        Returns:
            The same shape and dtype.
        """
        if not (self._mixup and noise.training):
            return inputs
        rows = tf.concat([tf.shape(inputs)[:1], tf.ones([inputs.shape.rank - 1], tf.int32)], 0)
        share = self._mixup * tf.maximum(0.0, 2 * noise.uniform(rows) - 1)
        whole = inputs.dtype.is_integer
        values = tf.cast(inputs, tf.float32) if whole else inputs
        mixed = values + tf.cast(share, values.dtype) * (tf.roll(values, 1, axis=0) - values)
        return tf.cast(tf.round(mixed), inputs.dtype) if whole else mixed

    def probabilities(self, inputs: tf.Tensor, tokens: tf.Tensor, packing: Packing) -> tf.Tensor:
        """Return what they think of each next word, without dropout.

        Args:
            inputs: features [B, ...].
            tokens: int32 [B, n, T], what is read.
            packing: of the tokens.

        Returns:
            float32 [M, V], each row with a sum of 1.
        """
        asked = [self._ask(each, inputs, tokens, packing) for each in self._models]
        return tf.stop_gradient(tf.add_n(asked) / len(asked))

    def _ask(
        self, model: Captioner, inputs: tf.Tensor, tokens: tf.Tensor, packing: Packing
    ) -> tf.Tensor:
        with precision.computing(model, self._precision):
            logits = model.teacher_forced(model.prepare(inputs), tokens, packing, Noise())
        return tf.nn.softmax(tf.cast(logits, tf.float32))


def check(configuration: Configuration, dataset: Dataset) -> list[str]:
    """Refuse captioners from which nothing could be learned.

    Args:
        configuration: of the training; `teachers` are the captioners' folders.
        dataset: that is to be trained on.

    Returns:
        The captioners' digests.

    Raises:
        UsageError: one is no finished captioner, or was made for other features or other words.
    """
    digests = []
    for folder in configuration.teachers:
        manifest = checked_manifest(folder, dataset)
        if manifest["text"]["digest"] != dataset.text["digest"]:
            raise UsageError(
                f"--teachers={folder}: its vocabulary is not that of {dataset.folder}: give"
                " captioners that were trained on this data set, or on the same captions"
            )
        note_pictures(folder, manifest, dataset)
        digests.append(captioner.digest(manifest))
    return digests


def load(configuration: Configuration, dataset: Dataset, replicas: Replicas) -> Teachers | None:
    """Load the teachers of a training, in the scope of its replicas; None where it has none.

    Args:
        configuration: see `check`, which lets it pass.
        dataset: likewise.
        replicas: that train together.

    Raises:
        UsageError: a file of a captioner is not the one that was exported.
    """
    c = configuration
    if not (c.teachers and c.epochs):
        return None
    models = [Teacher(folder, dataset, replicas).model for folder in c.teachers]
    # A model sets the global seed when it is made, and the order of examples depends on that.
    keras.utils.set_random_seed(c.seed)
    return Teachers(models, c.distillation, c.precision, c.mixup)
