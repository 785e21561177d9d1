"""Features of images as one would store them without the project: a loop, and tf.data.

Both write TFRecords with float16 features, and one example for each picture.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import child, photos
from benchmarks.peers.keras_model import decode
from transforms.stored import Form

BATCH = 32


def keras_loop(images: str, encoder: str) -> dict[str, Any]:
    """Open a picture, `model.predict`, write, next picture."""
    import tensorflow as tf

    from transforms import encoders

    model = encoders.load(encoder).model
    form = Form(tuple(model.inputs[0].shape[1:3]))
    paths = photos.paths(images)

    def features(path: str) -> np.ndarray:
        return model.predict(decode(Path(path).read_bytes(), form)[None], verbose=0)[0]

    features(paths[0])
    with (
        tempfile.TemporaryDirectory() as folder,
        child.timed() as section,
        tf.io.TFRecordWriter(f"{folder}/features.tfrecord") as writer,
    ):
        for path in paths:
            writer.write(example(path, features(path)))
    return section.facts(len(paths))


def tf_data(images: str, encoder: str) -> dict[str, Any]:
    """tf.data reads and decodes in parallel, a compiled Keras model encodes batches."""
    import tensorflow as tf

    from benchmarks.peers.tf_data import batches
    from transforms import encoders

    model = encoders.load(encoder).model
    form = Form(tuple(model.inputs[0].shape[1:3]))
    encode = tf.function(lambda pixels: model(pixels, training=False))
    paths = photos.paths(images)
    for batch in batches(paths[:BATCH], form):
        encode(batch)
    with (
        tempfile.TemporaryDirectory() as folder,
        child.timed() as section,
        tf.io.TFRecordWriter(f"{folder}/features.tfrecord") as writer,
    ):
        done = 0
        for batch in batches(paths, form):
            for features in encode(batch).numpy():
                writer.write(example(paths[done], features))
                done += 1
    return section.facts(done)


def example(path: str, features: np.ndarray) -> bytes:
    """Return a serialised tf.train.Example."""
    import tensorflow as tf

    data = features.astype(np.float16).tobytes()
    values = {
        "path": tf.train.Feature(bytes_list=tf.train.BytesList(value=[path.encode()])),
        "features": tf.train.Feature(bytes_list=tf.train.BytesList(value=[data])),
    }
    return tf.train.Example(features=tf.train.Features(feature=values)).SerializeToString()
