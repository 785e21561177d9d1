"""The compact form of captioners: a SavedModel's graph, and its weights as float16.

What an encoder's package has already is not stored again. At first use the whole SavedModel is put
together in the cache, and everything else works from there. `trainer.compact` writes it.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transforms.encoders import Encoder

WEIGHTS = "weights.npz"
GRAPH, VARIABLES = "saved_model.pb", "variables/variables"  # In the folder of a SavedModel.


def unpack(
    weights: bytes, tensors: Sequence[Mapping[str, Any]], encoder: Encoder | None, place: Path
) -> None:
    """Write the SavedModel that was packed, its matrices rounded to float16.

    What an older version packed has no graph, which is beside it in the captioner.

    Args:
        weights: the content of the captioner's file of weights.
        tensors: what its manifest says of them.
        encoder: what was not stored.
        place: an empty folder.
    """
    import tensorflow as tf

    names, values = [], []
    with np.load(io.BytesIO(weights), allow_pickle=False) as arrays:
        if "graph" in arrays:
            (place / GRAPH).write_bytes(arrays["graph"].tobytes())
        for tensor in tensors:
            names.append(tensor["name"])
            if "encoder" in tensor:
                assert encoder is not None
                values.append(encoder.model.variables[tensor["encoder"]].value)
                continue
            array = arrays[f"arr_{tensor['array']}"]
            if array.dtype == np.uint8:
                values.append(tf.constant(array.tobytes()))
            else:
                single = array.dtype == np.float16
                values.append(tf.constant(array.astype(np.float32) if single else array))
    (place / VARIABLES).parent.mkdir()
    tf.raw_ops.SaveV2(
        prefix=str(place / VARIABLES),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=values,
    )
