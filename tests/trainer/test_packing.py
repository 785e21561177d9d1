import numpy as np
import pytest
import tensorflow as tf

from tests.trainer import toy
from trainer.packing import Packing, lay_out


def test_each_token_is_seen_once_longest_captions_first_and_grouped_by_image():
    ids = toy.token_ids(images=4)[:, :, 1:]
    packing = Packing(tf.constant(ids != 0))
    packed = packing.pack(tf.constant(ids)).numpy()
    assert sorted(packed) == sorted(ids[ids != 0])
    assert list(packing.active) == list((ids != 0).sum((0, 1)))
    lengths = (ids != 0).sum(2).reshape(-1)[packing.order]
    assert list(lengths) == sorted(lengths, reverse=True)
    flat = ids.reshape(12, -1)
    assert list(flat[packing.order.numpy()[packing.caption], packing.place]) == list(packed)
    for image in range(4):
        mine = packed[packing.image.numpy() == image]
        assert sorted(mine) == sorted(ids[image][ids[image] != 0])


@pytest.mark.parametrize("padded", [False, True])
def test_layouts_are_undone(padded):
    ids = toy.token_ids(images=3)[:, :, 1:]
    packing = lay_out(tf.constant(ids != 0), padded=padded)
    values = tf.random.normal([ids.size if padded else int((ids != 0).sum()), 4])
    np.testing.assert_array_equal(packing.repack(packing.unpack(values)), values)
    np.testing.assert_array_equal(packing.per_token(packing.per_image(values)), values)
    rows = packing.active[2]
    grouped = packing.captions_per_image(values[:rows])
    np.testing.assert_array_equal(packing.per_caption(grouped, rows), values[:rows])
    mine = grouped.numpy()[packing.owner[0]]
    assert any(np.array_equal(row, values[0]) for row in mine)


@pytest.mark.parametrize("padded", [False, True])
def test_unpacked_rows_are_the_captions_in_order(padded):
    ids = toy.token_ids(images=3)[:, :, 1:]
    packing = lay_out(tf.constant(ids != 0), padded=padded)
    unpacked = packing.unpack(tf.cast(packing.pack(tf.constant(ids)), tf.float32)[:, None])
    np.testing.assert_array_equal(unpacked[:, :, 0], ids.reshape(-1, ids.shape[-1]))


def test_sums_leave_padding_out():
    ids = toy.token_ids(images=3)[:, :, 1:]
    for padded in (False, True):
        packing = lay_out(tf.constant(ids != 0), padded=padded)
        values = packing.pack(tf.constant(ids + 1.0, tf.float32))
        assert int(packing.tokens) == (ids != 0).sum()
        assert float(packing.sum(values)) == (ids + 1)[ids != 0].sum()


@pytest.mark.parametrize("padded", [False, True])
def test_spread_gives_each_token_its_image(padded):
    ids = toy.token_ids(images=3)[:, :, 1:]
    packing = lay_out(tf.constant(ids != 0), padded=padded)
    rows = tf.constant([[0.0], [1.0], [2.0]])
    np.testing.assert_array_equal(packing.spread(rows)[:, 0], packing.image)
