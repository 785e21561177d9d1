"""Where training and evaluation get their batches."""

import functools
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from transforms import files
from transforms.dataset import Dataset, parse
from transforms.errors import UsageError
from transforms.text import PAD

SHUFFLE_BYTES = 256 * 1024 * 1024
OPEN_FILES = 16


def check_readable(folder: str) -> None:
    """Refuse a data set in a store that TensorFlow cannot read batches from.

    Args:
        folder: of the data set.

    Raises:
        UsageError: with the remedy.
    """
    scheme = files.scheme(folder)
    if scheme not in tf.io.gfile.get_registered_schemes():
        raise UsageError(
            f"{folder}: TensorFlow, which reads what is trained on, does not know {scheme}://:"
            " copy the data set to a local disk or to gs://"
        )


class Examples(Protocol):
    """Images with all their captions.

    Attributes:
        images: how many; views of an image count as images.
        input_spec: one batch of inputs, [None, ...].
        steps: T, ids of the longest caption, START and END included.
    """

    images: int
    input_spec: tf.TensorSpec
    steps: int

    def batches(self, size: int, seed: int | None = None) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
        """Yield every image once.

        Args:
            size: images in a batch; the last may have fewer.
            seed: decides the order; None keeps the stored one.

        Yields:
            Features or pixels [B, ...] as in `input_spec`, and token ids int32 [B, n, T].
        """

    def captions(self) -> Iterator[npt.NDArray[np.int32]]:
        """Yield the token ids of each image, int32 [n, T], in the stored order."""


class ArrayExamples:
    """Images whose features are in memory."""

    def __init__(self, inputs: np.ndarray, token_ids: npt.NDArray[np.int32]) -> None:
        """Take [images, ...] and [images, n, T]."""
        self.images = len(inputs)
        self.input_spec = tf.TensorSpec([None, *inputs.shape[1:]], inputs.dtype)
        self.steps = token_ids.shape[-1]
        self._inputs, self._token_ids = inputs, token_ids

    def batches(self, size: int, seed: int | None = None) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
        """See `Examples`."""
        order = np.arange(self.images)
        if seed is not None:
            np.random.default_rng(seed).shuffle(order)
        for start in range(0, self.images, size):
            # Sorted, so that a memory-mapped file is read forwards.
            chosen = np.sort(order[start : start + size])
            yield tf.constant(self._inputs[chosen]), tf.constant(self._token_ids[chosen])

    def captions(self) -> Iterator[npt.NDArray[np.int32]]:
        """See `Examples`."""
        return iter(self._token_ids)


class DatasetExamples:
    """A split of a data set, streamed from its files.

    Never more than SHUFFLE_BYTES of it wait in memory, whatever its size.

    A caption that a captioner wrote has the weight w that the data set gives it: in each shuffled
    pass it takes part with probability w, which on average scales its gradient by w, and spares
    its computation otherwise.
    """

    def __init__(
        self,
        dataset: Dataset,
        split: str,
        holds: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
    ) -> None:
        """Open a split that has images.

        Args:
            dataset: whose.
            split: which.
            holds: tells by an image's key and the name of its view, string scalars, whether it is
                one of the examples; None for all. The files are then read once to count them.
        """
        self._holds = holds
        self.steps = dataset.text["max_length"] + 2
        if dataset.feature_shape is None:
            self.input_spec = tf.TensorSpec([None, *dataset.encoder["input_size"], 3], tf.uint8)
        else:
            dtype = tf.as_dtype(dataset.feature_dtype)
            self.input_spec = tf.TensorSpec([None, *dataset.feature_shape], dtype)
        self._dataset, self._split = dataset, split
        self._files = dataset.files(split)
        self._weight = dataset.generated_weight
        self.images = dataset.examples(split)
        if holds is not None:
            stored = tf.data.TFRecordDataset(self._files).filter(self._chosen)
            self.images = int(stored.reduce(np.int64(0), lambda count, _: count + 1))

    def batches(self, size: int, seed: int | None = None) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
        """See `Examples`."""
        examples = tf.data.Dataset.from_tensor_slices(self._files)
        if seed is None:
            examples = self._choose(examples.flat_map(tf.data.TFRecordDataset))
        else:
            examples = examples.shuffle(len(self._files), seed=seed).interleave(
                tf.data.TFRecordDataset, cycle_length=OPEN_FILES
            )
            examples = self._choose(examples).shuffle(self._shuffled(), seed=seed)
        shapes = (self.input_spec.shape[1:], [None, self.steps], [None])
        examples = examples.map(
            functools.partial(self._parse, seed=seed), num_parallel_calls=tf.data.AUTOTUNE
        )
        yield from examples.padded_batch(size, shapes).map(_leave_out).prefetch(2)

    def _choose(self, examples: tf.data.Dataset) -> tf.data.Dataset:
        return examples if self._holds is None else examples.filter(self._chosen)

    def _chosen(self, example: tf.Tensor) -> tf.Tensor:
        assert self._holds is not None
        names = {
            "key": tf.io.FixedLenFeature([], tf.string),
            "view": tf.io.FixedLenFeature([], tf.string, default_value=""),
        }
        parsed = tf.io.parse_single_example(example, names)
        return self._holds(parsed["key"], parsed["view"])

    def captions(self) -> Iterator[npt.NDArray[np.int32]]:
        """See `Examples`."""
        examples = self._choose(tf.data.TFRecordDataset(self._files))
        shape, dtype = self._dataset.feature_shape, self._dataset.feature_dtype
        for example in examples.map(functools.partial(parse, shape=shape, dtype=dtype)):
            ids = example["token_ids"].numpy()
            yield np.pad(ids, ((0, 0), (0, self.steps - ids.shape[1])))

    def _shuffled(self) -> int:
        shape, dtype = self.input_spec.shape[1:], self.input_spec.dtype
        # A stored image is a JPEG: this is an upper bound.
        return max(1, min(self.images, SHUFFLE_BYTES // (shape.num_elements() * dtype.size)))

    def _parse(
        self, example: tf.Tensor, seed: int | None
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        parsed = parse(example, self._dataset.feature_shape, self._dataset.feature_dtype)
        out = tf.zeros_like(parsed["generated"])
        if seed is not None and self._weight < 1:
            # The draw depends on the pass and the image alone, not on the order of images.
            name = tf.strings.to_hash_bucket_fast(parsed["key"], 2**31 - 1)
            drawn = tf.random.stateless_uniform(tf.shape(out), tf.stack([np.int64(seed), name]))
            out = parsed["generated"] & (drawn >= self._weight)
        if "image" not in parsed:
            return parsed["features"], parsed["token_ids"], out
        # The accurate transform gives Pillow's pixels.
        pixels = tf.io.decode_jpeg(parsed["image"], channels=3, dct_method="INTEGER_ACCURATE")
        pixels = tf.ensure_shape(pixels, self.input_spec.shape[1:])
        return pixels, parsed["token_ids"], out


def _leave_out(
    inputs: tf.Tensor, token_ids: tf.Tensor, out: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Blank captions [B, n] of a batch, unless none would be left to learn from."""
    some = tf.reduce_any(~out & tf.reduce_any(token_ids != PAD, axis=2))
    return inputs, tf.where(out[:, :, None] & some, PAD, token_ids)
