"""How frequent n-grams are in the captions that a captioner learns from."""

import functools

from transforms import ngrams
from transforms.dataset import Dataset


@functools.lru_cache(maxsize=1)  # Evaluation and export of a training both want them.
def count(dataset: Dataset) -> ngrams.Frequencies:
    """Count n-grams in the captions of the split train that people wrote.

    An image counts once, however many views of it are stored.
    """
    captions: dict[bytes, list[list[int]]] = {}
    for example in dataset.tf_dataset("train") if dataset.files("train") else ():
        key = example["key"].numpy()
        if key not in captions:
            ids = example["token_ids"].numpy()[~example["generated"].numpy()]
            captions[key] = ids.tolist()
    return ngrams.count(filter(None, captions.values()))
