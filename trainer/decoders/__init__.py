"""Decoders: what turns an image's features into words, all behind one interface.

Letters: B images, P positions of their feature grid, n captions of an image, T steps, M tokens of
a batch (see trainer.packing), K captions of an image that are being written (beams), V words.
"""

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import tensorflow as tf

from trainer.configuration import Configuration
from trainer.noise import Noise
from trainer.packing import Packing

if TYPE_CHECKING:
    import keras

Memory = dict[str, tf.Tensor]


class Step(NamedTuple):
    """What a decoder makes of one more token of each caption."""

    logits: tf.Tensor  # float32 [B, K, V], of the next token
    state: Any  # the next state, tensors [B, K, ...]
    attention: tf.Tensor | None  # float32 [B, K, P], over the grid; None where it has none


class Decoder(Protocol):
    """What training and search know of a decoder.

    A state is any nest of tensors. `initial_state` returns it as [B, ...]; in `step` each tensor
    is [B, K, ...].

    Attributes:
        configuration: of the run.
        embedding: the Keras layer of the words' vectors, [V, embedding].
    """

    configuration: Configuration
    embedding: Any

    def word_weights(self) -> "list[tuple[keras.Variable, int]]":
        """Return the weights that have a part for each word, with the axis of the words."""

    def prepare(self, features: tf.Tensor, noise: Noise) -> Memory:
        """Do once per image what its captions share.

        Args:
            features: float [B, rows, columns, C] or [B, C].
            noise: the batch's dropout.

        Returns:
            Tensors [B, ...] by name.
        """

    def initial_state(self, memory: Memory) -> Any:
        """Return the state before the first word, tensors [B, ...]."""

    def step(self, tokens: tf.Tensor, state: Any, memory: Memory) -> Step:
        """Read one token of each caption.

        Args:
            tokens: int32 [B, K].
            state: tensors [B, K, ...].
            memory: from `prepare`.

        Returns:
            What comes next, and where the decoder looked for it.
        """

    def teacher_forced(
        self, memory: Memory, tokens: tf.Tensor, packing: Packing, noise: Noise
    ) -> tf.Tensor:
        """Read whole captions at once.

        Args:
            memory: from `prepare`.
            tokens: int32 [B, n, T], what is read at each step.
            packing: the layout of the tokens that count.
            noise: the batch's dropout.

        Returns:
            Logits [M, V], packed, of each token's successor: float32, or of 16 bits where
            `trainer.precision` has the layers compute in these.
        """


def build(configuration: Configuration, vocabulary_size: int, channels: int) -> Decoder:
    """Make the decoder that a configuration describes, its weights drawn.

    Args:
        configuration: the run's.
        vocabulary_size: V.
        channels: C, of the features.
    """
    from trainer.decoders.recurrent import RecurrentDecoder
    from trainer.decoders.topdown import TopDownDecoder
    from trainer.decoders.transformer import TransformerDecoder

    kinds = {
        "lstm": RecurrentDecoder,
        "gru": RecurrentDecoder,
        "topdown": TopDownDecoder,
        "transformer": TransformerDecoder,
    }
    return kinds[configuration.decoder](configuration, vocabulary_size, channels)
