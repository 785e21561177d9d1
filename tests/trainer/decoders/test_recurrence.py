import numpy as np
import pytest
import tensorflow as tf

from tests.trainer import toy
from trainer.decoders.recurrence import CELLS
from trainer.packing import Packing


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_packed_scan_equals_the_keras_layer(kind):
    tf.random.set_seed(0)
    layer = CELLS[kind](units=6, depth=4)
    for variable in layer.variables:
        variable.assign(tf.random.normal(variable.shape))
    mask = tf.constant(toy.token_ids(images=4)[:, :, 1:] != 0)
    packing = Packing(mask)
    inputs = tf.random.normal([int(tf.reduce_sum(packing.active)), 4])
    start = [tf.random.normal([12, 6]) for _ in range(layer.states)]
    np.testing.assert_allclose(
        layer.scan(inputs, start, packing), layer.scan_padded(inputs, start, packing), atol=1e-5
    )
