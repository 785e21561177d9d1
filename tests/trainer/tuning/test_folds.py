import pytest
import tensorflow as tf

from tests.trainer import toy
from trainer.examples import DatasetExamples
from trainer.tuning import folds
from trainer.tuning.objective import Part


@pytest.mark.parametrize("count", [2, 3, 7])
def test_every_key_is_held_out_once(count):
    keys = tf.constant([f"{n}.jpg" for n in range(500)])
    held_out = tf.stack([fold.held_out(keys) for fold in folds.divide(count, 1)])
    assert (tf.reduce_sum(tf.cast(held_out, tf.int32), axis=0).numpy() == 1).all()
    sizes = folds.sizes(folds.divide(count, 1), [f"{n}.jpg" for n in range(500)])
    assert sum(sizes) == 500
    assert min(sizes) > 0.6 * 500 / count


def test_another_seed_divides_otherwise():
    keys = tf.constant([f"{n}.jpg" for n in range(50)])
    first, second = (folds.divide(2, seed)[0].held_out(keys).numpy() for seed in (1, 2))
    assert (first != second).any()


def test_parts_are_divided_by_image_and_hold_nothing_of_dev(tmp_path):
    data = toy.dataset(tmp_path / "data", train=20)

    def contents(examples: DatasetExamples) -> set[bytes]:
        return {image.numpy().tobytes() for batch, _ in examples.batches(7) for image in batch}

    train = contents(DatasetExamples(data, "train"))
    seen: set[bytes] = set()
    for fold in folds.divide(3, 0):
        part = Part(data, fold)
        trained, held_out = contents(part.train), contents(part.held_out)
        assert (len(trained), len(held_out)) == (part.train.images, part.held_out.images)
        assert not trained & held_out
        assert trained | held_out == train
        assert not seen & held_out
        seen |= held_out
    assert seen == train
    dev = contents(DatasetExamples(data, "dev"))
    assert not seen & dev
    assert contents(Part(data, None).held_out) == dev


def test_views_are_learned_from_and_not_judged_by(tmp_path):
    data = toy.dataset(tmp_path / "data", train=20, views=("flip", "crop"))
    divided = folds.divide(2, 0)
    sizes = folds.sizes(divided, (r.key for r in data.records("train") if not r.view))
    assert sum(sizes) == 20
    for fold, size in zip(divided, sizes, strict=True):
        part = Part(data, fold)
        assert part.train.images == 3 * (20 - size)
        assert part.held_out.images == len(part._references) == size
        assert sum(len(inputs) for inputs, _ in part.held_out.batches(7)) == size
        assert sum(1 for _ in part.held_out.captions()) == size
