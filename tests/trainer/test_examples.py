import copy
import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.trainer import toy
from trainer import examples as examples_
from trainer import task, tune
from trainer.examples import SHUFFLE_BYTES, DatasetExamples
from transforms import files, records
from transforms.dataset import open_dataset
from transforms.errors import UsageError


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


def test_few_images_wait_in_memory_where_they_are_large(data, monkeypatch):
    examples = DatasetExamples(data, "train")
    monkeypatch.setattr(examples_, "SHUFFLE_BYTES", 3 * 4 * 4 * 6 * 2)
    features = {r.features.tobytes(): int(r.key[6:-4]) for r in data.records("train")}
    for seed in range(5):
        shuffled = [features[row.tobytes()] for row in collect(examples, 5, seed)[0]]
        assert sorted(shuffled) == list(range(12))
        # Of two files in turn, the images come in the order of their numbers, or by pairs.
        assert all(number <= place + 3 for place, number in enumerate(shuffled)), shuffled
    monkeypatch.undo()
    for shape in ((49, 49, 2048), (4000, 4000, 9)):
        examples.images = 10**6
        examples.input_spec = tf.TensorSpec([None, *shape], tf.float32)
        waiting = examples._shuffled() * 4 * np.prod(shape)
        assert SHUFFLE_BYTES / 2 < waiting <= max(SHUFFLE_BYTES, 4 * np.prod(shape))


@pytest.mark.parametrize("command", [task, tune])
def test_a_store_that_tensorflow_cannot_read_is_refused(command, data, tmp_path, monkeypatch):
    there = copy.copy(data)
    there.folder = "s3://bucket/data"
    monkeypatch.setattr(command, "open_dataset", lambda folder: there)
    flags = [f"--dataset={there.folder}", f"--output={tmp_path / 'out'}"]
    with pytest.raises(UsageError, match=r"^s3://bucket/data: TensorFlow.* copy the data set"):
        command.main(flags)
    assert not (tmp_path / "out").exists()
    for known in ("gs://bucket/data", data.folder, "relative/path"):
        examples_.check_readable(known)


def test_stored_images_come_as_pixels(tmp_path):
    examples = DatasetExamples(toy.dataset(tmp_path / "data", encoder="none"), "dev")
    ((pixels, _),) = examples.batches(9)
    assert (pixels.shape, pixels.dtype) == ((4, 32, 32, 3), np.uint8)
    np.testing.assert_allclose(pixels[0, 5, 5], [200, 30, 30], atol=3)


def test_examples_may_be_chosen_by_the_keys_of_images(data):
    chosen = DatasetExamples(
        data, "train", lambda key, _: tf.strings.regex_full_match(key, ".*[13].jpg")
    )
    kept = [r.features for r in data.records("train") if r.key[-5] in "13"]
    assert chosen.images == len(kept) == 3
    np.testing.assert_array_equal(collect(chosen, 2)[0], kept)
    shuffled = collect(chosen, 2, seed=1)[0]
    np.testing.assert_array_equal(np.sort(shuffled.ravel()), np.sort(np.array(kept).ravel()))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A data set in half of whose images the captions are generated, of weight 0.3."""
    data = toy.dataset(tmp_path_factory.mktemp("mixed") / "data", train=40)
    _, second = data.files("train")
    marked = [
        dataclasses.replace(record, generated=(True,) * 3) for record in data.file_records(second)
    ]
    with files.atomic(second) as stream:
        records.write(stream, records.encode(marked))
    name = second.removeprefix(f"{data.folder}/")
    data.manifest["files"][name] = {"bytes": stream.size, "sha256": stream.sha256}
    data.manifest["generated"] = {"weight": 0.3}
    files.write_json(files.join(data.folder, "dataset.json"), data.manifest)
    return open_dataset(data.folder)


def test_generated_captions_take_part_as_often_as_they_weigh(mixed):
    examples = DatasetExamples(mixed, "train")
    everything = (collect(examples, 16)[1] > 0).any(axis=2)
    assert everything.all()
    passes = [collect(examples, 16, seed)[1] for seed in range(30)]
    np.testing.assert_array_equal(passes[3], collect(examples, 16, 3)[1])
    present = np.stack([(ids > 0).any(axis=2) for ids in passes])
    assert present.all(axis=2).sum(axis=1).min() >= 20  # Those of people are always there.
    assert present.mean() == pytest.approx((1 + 0.3) / 2, abs=0.02)


def test_a_batch_never_loses_all_its_captions(mixed):
    alone = DatasetExamples(mixed, "train", lambda key, _: key == b"train/1.jpg")
    for seed in range(12):
        ((_, ids),) = alone.batches(1, seed)
        assert ids.numpy().any()
