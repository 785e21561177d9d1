"""How frequent n-grams are in the captions that a captioner learns from."""

import functools
from collections.abc import Iterator

from transforms import ngrams
from transforms.dataset import Dataset


@functools.lru_cache(maxsize=1)  # Evaluation and export of a training both want them.
def count(dataset: Dataset) -> ngrams.Frequencies:
    """Count n-grams in the captions of the split train that people wrote.

    An image counts once, however many views of it are stored.
    """
    return ngrams.count(_captions(dataset))


def _captions(dataset: Dataset) -> Iterator[list[list[int]]]:
    seen = set()
    for example in dataset.tf_dataset("train") if dataset.files("train") else ():
        key, generated = example["key"].numpy(), example["generated"].numpy()
        if key not in seen and not generated.all():
            yield example["token_ids"].numpy()[~generated].tolist()
        seen.add(key)
