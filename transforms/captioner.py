"""Using a captioner that `trainer.task` exported: the contract between training and bulk work."""

import dataclasses
from typing import Any

import numpy as np

from transforms import files, manifests

MANIFEST = "captioner.json"
FORMAT = "beamcap.captioner"
REMEDY = "make a captioner with `python -m trainer.task`"
BATCH_SIZE = 32


@dataclasses.dataclass(frozen=True)
class Hypothesis:
    """A caption, and its log-probability divided by a power of its length."""

    caption: str
    score: float


def read_manifest(folder: str) -> dict[str, Any]:
    """Return the content of a captioner's manifest, its files checked.

    Raises:
        UsageError: the directory is no finished captioner.
    """
    return manifests.read(folder, MANIFEST, FORMAT, REMEDY)


def digest(folder: str) -> str:
    """Return the hexadecimal sha256 of a captioner's manifest, which names all of its files."""
    import hashlib

    return hashlib.sha256(files.read_bytes(files.join(folder, MANIFEST))).hexdigest()


class Captioner:
    """A loaded captioner.

    Attributes:
        manifest: the content of `captioner.json`.
        input_size: (height, width) of the pictures it takes, in pixels.
        batch_size: pictures one call of the graph captions.
    """

    def __init__(self, folder: str, batch_size: int = BATCH_SIZE) -> None:
        """Load the SavedModel; no code comes from it but TensorFlow's own operations.

        Raises:
            UsageError: the directory is no finished captioner.
        """
        import tensorflow as tf

        self.manifest = read_manifest(folder)
        self.input_size: tuple[int, int] = tuple(self.manifest["encoder"]["input_size"])
        self.batch_size = batch_size
        self._model = tf.saved_model.load(files.join(folder, "saved_model"))
        self._signature = self._model.signatures["caption_pixels"]

    def caption(
        self, pixels: np.ndarray, beam_width: int, length_penalty: float
    ) -> list[list[Hypothesis]]:
        """Caption pictures.

        The graph always sees `batch_size` pictures (the last batch is padded with black ones),
        so a caption does not depend on how many pictures come with it.

        Args:
            pixels: uint8 [B, height, width, 3], RGB; B may be any number.
            beam_width: hypotheses that the search keeps.
            length_penalty: power of the length that log-probabilities are divided by.

        Returns:
            For each picture its hypotheses, best first.
        """
        import tensorflow as tf

        results = []
        for start in range(0, len(pixels), self.batch_size):
            batch = pixels[start : start + self.batch_size]
            padding = self.batch_size - len(batch)
            outputs = self._signature(
                pixels=tf.constant(np.pad(batch, ((0, padding), (0, 0), (0, 0), (0, 0)))),
                beam_width=tf.constant(beam_width, tf.int32),
                length_penalty=tf.constant(length_penalty, tf.float32),
            )
            captions = outputs["captions"].numpy()[: len(batch)]
            scores = outputs["scores"].numpy()[: len(batch)]
            results += [
                [Hypothesis(c.decode(), float(s)) for c, s in zip(row, row_scores, strict=True)]
                for row, row_scores in zip(captions, scores, strict=True)
            ]
        return results
