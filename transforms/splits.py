"""Dividing images into train, dev and test."""

import hashlib
from collections.abc import Iterable

from transforms.files import encoded

SPLITS = ("train", "dev", "test")
_RESOLUTION = 10**9


def by_hash(key: str, dev_fraction: float, test_fraction: float, seed: int) -> str:
    """Choose a split from the hash of an image's key.

    An image keeps its split whatever else is in the data set.

    Args:
        key: the image's key.
        dev_fraction: share of the images that go to dev, 0 to 1.
        test_fraction: share that goes to test; the rest is train.
        seed: another seed gives another division.
    """
    digest = hashlib.sha256(encoded(f"{seed}/{key}")).hexdigest()
    place = int(digest[:15], 16) % _RESOLUTION / _RESOLUTION
    if place < test_fraction:
        return "test"
    if place < test_fraction + dev_fraction:
        return "dev"
    return "train"


def most_held_out(splits: Iterable[str]) -> str:
    """Return the split that an image in several of them belongs to: test, then dev, then train.

    What is held out must not be trained on, and the test set stays complete.
    """
    return max(splits, key=SPLITS.index)
