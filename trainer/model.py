"""The model that is trained, searched and exported."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from trainer import decoders
from trainer.cnn import ConvolutionalEncoder
from trainer.configuration import Configuration
from trainer.decoders import Memory, Step
from trainer.noise import Noise
from trainer.packing import Packing


class Captioner(keras.Model):
    """A decoder, behind a CNN where the data set stores images or the maps of lower blocks.

    It has the decoder's `initial_state` and `step`, so it can be searched as it is.

    Attributes:
        pretrained: whether its CNN, if it has one, had learned before.
        finetuning: whether a pretrained CNN learns at present. Graphs are traced for one value.
    """

    def __init__(
        self,
        configuration: Configuration,
        vocabulary_size: int,
        feature_shape: Sequence[int] | None,
        rest: keras.Model | None = None,
    ) -> None:
        """Draw the weights; the configuration's seed decides them.

        Args:
            configuration: the run's.
            vocabulary_size: words and reserved tokens.
            feature_shape: of one image, [rows, columns, C] or [C]; None where the input is
                pixels, uint8 [B, height, width, 3].
            rest: the pretrained upper blocks of the CNN, from such features to its last map; None
                where the decoder takes the features as they are.
        """
        super().__init__()
        keras.utils.set_random_seed(configuration.seed)
        self.configuration = configuration
        self.encoder = rest
        self.finetuning = False
        self.pretrained = rest is not None
        if rest is not None:
            feature_shape = rest.output_shape[1:]
        elif feature_shape is None:
            self.encoder = ConvolutionalEncoder(configuration.convolutions, configuration.pixels)
            feature_shape = (self.encoder.channels,)
        self.decoder = decoders.build(configuration, vocabulary_size, feature_shape[-1])
        self.built = True

    def prepare(self, inputs: tf.Tensor, noise: Noise | None = None) -> Memory:
        """Do once per image what its captions share; features or pixels [B, ...]."""
        noise = noise or Noise()
        return self.decoder.prepare(self.encode(inputs, noise), noise)

    def encode(self, inputs: tf.Tensor, noise: Noise | None = None) -> tf.Tensor:
        """Return what the decoder sees of features or pixels [B, ...]: a grid or vectors."""
        if self.encoder is None:
            return inputs
        if not self.pretrained:
            return self.encoder(inputs, noise=noise or Noise())
        # Batch normalisation, where it is not folded away, keeps ImageNet's statistics.
        grid = self.encoder(tf.cast(inputs, tf.float32), training=False)
        return grid if self.finetuning else tf.stop_gradient(grid)

    @property
    def encoder_learns(self) -> bool:
        """Whether `encode` has weights that learn at present."""
        return self.encoder is not None and (self.finetuning or not self.pretrained)

    @property
    def own_variables(self) -> list[keras.Variable]:
        """The variables that learn in every epoch."""
        pretrained = {id(variable) for variable in self.finetuned_variables}
        return [v for v in self.trainable_variables if id(v) not in pretrained]

    @property
    def finetuned_variables(self) -> list[keras.Variable]:
        """The variables of a pretrained CNN, which learn while `finetuning`."""
        if self.encoder is None or not self.pretrained:
            return []
        return self.encoder.trainable_variables

    def initial_state(self, memory: Memory) -> Any:
        """See `trainer.decoders.Decoder`."""
        return self.decoder.initial_state(memory)

    def step(self, tokens: tf.Tensor, state: Any, memory: Memory) -> Step:
        """See `trainer.decoders.Decoder`."""
        return self.decoder.step(tokens, state, memory)

    def teacher_forced(
        self, memory: Memory, tokens: tf.Tensor, packing: Packing, noise: Noise | None = None
    ) -> tf.Tensor:
        """See `trainer.decoders.Decoder`."""
        return self.decoder.teacher_forced(memory, tokens, packing, noise or Noise())
