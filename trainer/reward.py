"""The reward of self-critical training: CIDEr-D against the image's own training captions."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from transforms.metrics import CiderD
from transforms.text import PAD

Ids = npt.NDArray[np.int32]


class Reward:
    """Scores sampled captions against references that are indexed once.

    END counts as a word, in samples and references: otherwise captions learn to stop at any
    place, and a third of them ends in "a". Document frequencies are the training captions'.
    """

    def __init__(self, captions: Iterable[Ids]) -> None:
        """Index the references.

        Args:
            captions: for each training image int32 [n, T], each row from START to END, then PAD;
                rows that are all PAD do not count.
        """
        self._images: dict[bytes, int] = {}
        references: list[list[list[int]]] = []
        for ids in captions:
            # Images with equal captions share a place: their rewards are equal too.
            self._images.setdefault(_key(ids), len(references))
            references.append([row[row != PAD][1:].tolist() for row in ids if row[0] != PAD])
        self._cider = CiderD(references)

    def score(self, token_ids: Ids, samples: Ids) -> npt.NDArray[np.float32]:
        """Score a batch of samples.

        Args:
            token_ids: int32 [B, n, T], the images' training captions, as in the data set.
            samples: int32 [B, K, S], each words, END, then PAD; one that was cut has no END.

        Returns:
            float32 [B, K], CIDEr-D from 0 to 10.
        """
        images, count = samples.shape[:2]
        places = [self._images[_key(ids)] for ids in token_ids]
        flat = samples.reshape(images * count, -1)
        scores = self._cider.score_ids(flat, np.repeat(places, count))
        return scores.reshape(images, count).astype(np.float32)


def _key(ids: Ids) -> bytes:
    """Name an image by its captions, whatever padding its batch brought."""
    return ids[ids[:, 0] != PAD].tobytes()
