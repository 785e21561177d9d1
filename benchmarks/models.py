"""A captioner's parts for measuring: its encoder and its search, with a given engine."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from transforms import captioner, captioners, tensorflow_start

BATCH = 32


class Parts(NamedTuple):
    """A captioner in two halves.

    Attributes:
        form: of its pictures.
        encode: uint8 [B, height, width, 3] to features of the engine's own kind.
        search: features to captions.
        held: what must live as long as they do.
    """

    form: captioners.Form
    encode: Callable[[np.ndarray], Any]
    search: Callable[[Any], list[str]]
    held: Any = None


def load(
    folder: str, engine: str, beam_width: int, length_penalty: float, precision: str = "fp32"
) -> Parts:
    """Load a captioner in an engine, with the search that the job uses with it.

    Args:
        folder: of the captioner.
        engine: one of `transforms.engines.ENGINES`.
        beam_width: hypotheses kept.
        length_penalty: see `SearchOptions`.
        precision: of the encoder, one of `transforms.engines.PRECISIONS`.
    """
    from transforms import engines
    from transforms.search import SearchOptions, search
    from transforms.text import join

    if engine == "tensorflow":
        tensorflow_start.start()
    manifest = captioner.read_manifest(folder)
    words = captioner.read_vocabulary(folder)
    options = SearchOptions(beam_width=beam_width, length_penalty=length_penalty)
    loaded = engines.load(folder, engine, precision=precision)

    def captions(features: Any) -> list[str]:
        found = search([loaded], [features], options, manifest["text"]["max_length"])
        tokenizer = manifest["text"]["tokenizer"]
        return [join(words.decode(list(ranked[0].tokens)), tokenizer) for ranked in found]

    return Parts(form(folder), loaded.encode, captions)


def form(folder: str) -> captioners.Form:
    """Return the form of the pictures that a captioner takes."""
    return captioners.forms([captioner.read_manifest(folder)])[0]


def savedmodel(folder: str, beam_width: int, length_penalty: float) -> Parts:
    """Load a captioner's SavedModel in TensorFlow, with the search that is inside its graph."""
    model = captioner.load_saved_model(folder)
    import tensorflow as tf

    encode, search = model.signatures["encode"], model.signatures["caption_features"]
    width, penalty = tf.constant(beam_width), tf.constant(length_penalty, tf.float32)

    def captions(features: Any) -> list[str]:
        found = search(features=features, beam_width=width, length_penalty=penalty)["caption"]
        return [caption.decode() for caption in found.numpy()]

    return Parts(
        form=form(folder),
        encode=lambda pixels: encode(pixels=tf.constant(pixels))["features"],
        search=captions,
        held=model,  # A SavedModel's signatures do not keep it alive.
    )


def keras_encoder(folder: str) -> Any:
    """Return the CNN of a captioner as a Keras model, from pixels to features."""
    tensorflow_start.start()
    from transforms import encoders

    facts = captioner.read_manifest(folder)["encoder"]
    return encoders.load(facts["name"], facts["weights"], features=facts["features"]).model
