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
    """A decoder, behind a CNN of its own where the data set stores images.

    It has the decoder's `initial_state` and `step`, so it can be searched as it is.
    """

    def __init__(
        self,
        configuration: Configuration,
        vocabulary_size: int,
        feature_shape: Sequence[int] | None,
    ) -> None:
        """Draw the weights; the configuration's seed decides them.

        Args:
            configuration: the run's.
            vocabulary_size: words and reserved tokens.
            feature_shape: of one image, [rows, columns, C] or [C]; None where the input is
                pixels, uint8 [B, height, width, 3].
        """
        super().__init__()
        keras.utils.set_random_seed(configuration.seed)
        self.configuration = configuration
        self.encoder = None
        if feature_shape is None:
            self.encoder = ConvolutionalEncoder(configuration.convolutions, configuration.pixels)
            feature_shape = (self.encoder.channels,)
        self.decoder = decoders.build(configuration, vocabulary_size, feature_shape[-1])
        self.built = True

    def prepare(self, inputs: tf.Tensor, noise: Noise | None = None) -> Memory:
        """Do once per image what its captions share; features or pixels [B, ...]."""
        noise = noise or Noise()
        features = self.encoder(inputs, training=noise.training) if self.encoder else inputs
        return self.decoder.prepare(features, noise)

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
