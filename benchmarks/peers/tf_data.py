"""tf.data reads, decodes and batches in parallel; a compiled Keras model captions the batches.

As https://www.tensorflow.org/guide/data_performance says: parallel map, batch, prefetch, AUTOTUNE.
"""

from typing import Any

from benchmarks import child, photos
from benchmarks.peers.keras_model import KerasCaptioner
from transforms import stored
from transforms.stored import Form

BATCH = 32


def run(images: str, captioner: str, beam_width: int, length_penalty: float) -> dict[str, Any]:
    """Caption a folder."""
    model = KerasCaptioner(captioner, beam_width, length_penalty)
    paths = photos.paths(images)
    for _ in batches(paths[:BATCH], model.form):
        model.caption(_)
    with child.timed() as section:
        captions: list[str] = []
        for batch in batches(paths, model.form):
            captions += model.caption(batch)
    return section.facts(len(captions))


def batches(paths: list[str], form: Form) -> Any:
    """Return the tf.data pipeline, of uint8 [B, height, width, 3]."""
    import tensorflow as tf

    def load(path: Any) -> Any:
        pixels = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        like = form.like
        if like is not None:
            pixels = scaled(pixels, (like.height, like.width), "bilinear")
            halved = like.subsampling != stored.FULL
            kept = tf.io.encode_jpeg(pixels, "rgb", like.quality, chroma_downsampling=halved)
            pixels = tf.io.decode_jpeg(kept, channels=3)
        return scaled(pixels, form.size, "bicubic")

    def scaled(pixels: Any, size: tuple[int, int], method: str) -> Any:
        resized = tf.image.resize(pixels, size, method, antialias=True)
        return tf.saturate_cast(tf.round(resized), tf.uint8)

    files = tf.data.Dataset.from_tensor_slices(paths)
    return files.map(load, tf.data.AUTOTUNE).batch(BATCH).prefetch(tf.data.AUTOTUNE)
