import numpy as np
import pytest

from tests.trainer import toy
from trainer.examples import DatasetExamples


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return toy.dataset(tmp_path_factory.mktemp("toy") / "data")


def collect(examples, size, seed=None):
    inputs, ids = zip(*examples.batches(size, seed), strict=True)
    return np.concatenate(inputs), np.concatenate(ids)


def test_the_stored_order_is_that_of_the_records(data):
    inputs, ids = collect(DatasetExamples(data, "train"), 5)
    stored = list(data.records("train"))
    np.testing.assert_array_equal(inputs, [record.features for record in stored])
    assert ids.shape == (12, 3, 8)
    for record, rows in zip(stored, ids, strict=True):
        assert tuple(tuple(row[row != 0]) for row in rows) == record.token_ids


def test_a_seed_decides_an_order_in_which_every_image_comes_once(data):
    examples = DatasetExamples(data, "train")
    first, again, other = (collect(examples, 5, seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    for shuffled in (first, other):
        np.testing.assert_array_equal(
            np.sort(shuffled.ravel()), np.sort(collect(examples, 5)[0].ravel())
        )


def test_stored_images_come_as_pixels(tmp_path):
    examples = DatasetExamples(toy.dataset(tmp_path / "data", encoder="none"), "dev")
    ((pixels, _),) = examples.batches(9)
    assert (pixels.shape, pixels.dtype) == ((4, 32, 32, 3), np.uint8)
    np.testing.assert_allclose(pixels[0, 5, 5], [200, 30, 30], atol=3)
