"""Running a captioner with TensorFlow, on a CPU or a GPU."""

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from transforms import captioner, tensorflow_start
from transforms.engines.engine import Step

Tensors = dict[str, Any]


class TensorFlowEngine:
    """An `Engine` of the SavedModel's signatures; memory and state stay on the device."""

    name = "tensorflow"
    singly = False
    _model: Any = None

    def __init__(self, signatures: Mapping[str, Any]) -> None:
        """Take the functions `encode`, `prepare` and `step` of a captioner."""
        import tensorflow as tf

        self._encode, self._prepare, self._step = (signatures[name] for name in captioner.PARTS)
        self._reorder = tf.function(_reorder, reduce_retracing=True, autograph=False)
        self._keep = tf.function(_keep, reduce_retracing=True, autograph=False)
        self._encoding = threading.Lock()

    @classmethod
    def load(cls, folder: str, threads: int) -> "TensorFlowEngine":
        """Load a captioner.

        Args:
            folder: of the captioner, on a local disk or in a bucket.
            threads: of the whole process, if this is its first use of TensorFlow.

        Raises:
            UsageError: no finished captioner, a file that is not the one that was exported, or
                one that an older version exported.
        """
        tensorflow_start.start(threads)
        model = captioner.load_parts(folder)
        engine = cls(model.signatures)
        engine._model = model  # Its variables live as long as it does.
        return engine

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """See `Engine`."""
        import tensorflow as tf

        with self._encoding:  # One batch after another has all cores.
            return self._encode(pixels=tf.constant(pixels))["features"].numpy()

    def start(self, features: np.ndarray) -> tuple[Tensors, Tensors]:
        """See `Engine`."""
        import tensorflow as tf

        outputs = self._prepare(features=tf.constant(features))
        memory = {name: value for name, value in outputs.items() if name.startswith("memory_")}
        state = {name: value[:, None] for name, value in outputs.items() if name not in memory}
        return memory, state

    def step(self, tokens: np.ndarray, state: Tensors, memory: Tensors) -> Step:
        """See `Engine`."""
        import tensorflow as tf

        outputs = self._step(tokens=tf.constant(tokens, tf.int32), **state, **memory)
        attention = outputs.get("attention")
        return Step(
            outputs["log_probs"].numpy(),
            {name: outputs[name] for name in state},
            None if attention is None else attention.numpy(),
        )

    def reorder(self, state: Tensors, images: np.ndarray, parents: np.ndarray) -> Tensors:
        """See `Engine`."""
        import tensorflow as tf

        return self._reorder(state, tf.constant(images, tf.int32), tf.constant(parents, tf.int32))

    def keep(self, memory: Tensors, images: np.ndarray) -> Tensors:
        """See `Engine`."""
        import tensorflow as tf

        return self._keep(memory, tf.constant(images, tf.int32))


def _reorder(state: Tensors, images: Any, parents: Any) -> Tensors:
    import tensorflow as tf

    places = tf.stack([tf.broadcast_to(images[:, None], tf.shape(parents)), parents], axis=-1)
    return {name: tf.gather_nd(value, places) for name, value in state.items()}


def _keep(memory: Tensors, images: Any) -> Tensors:
    import tensorflow as tf

    return {name: tf.gather(value, images) for name, value in memory.items()}
