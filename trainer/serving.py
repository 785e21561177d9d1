"""The graph that a captioner carries: from image files, pixels or features to captions.

Letters: B images, K hypotheses of each, T tokens, V words.
"""

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from trainer.model import Captioner
from trainer.noise import Noise
from trainer.search import beam_search
from transforms import stored
from transforms.dataset import Dataset
from transforms.encoders import Encoder
from transforms.stored import Stored
from transforms.text import RESERVED, join

Outputs = dict[str, tf.Tensor]
_BICUBIC, _BILINEAR = "keyscubic", "triangle"


class Serving(tf.Module):
    """A captioner as one TensorFlow module: encoder, decoder, search and vocabulary.

    It holds TensorFlow's variables and nothing of Keras, so that a SavedModel made from it needs
    no code of ours. Each step is a graph of its own that the longer paths call, and is therefore
    stored once. Every function that captions returns `caption` string [B], `score` float32 [B],
    `captions` string [B, K] and `scores` float32 [B, K], best first. `encode`, `prepare` and `step`
    are the parts that `transforms.engines` runs, with a search outside the graph between them:

        encode(pixels uint8 [B, height, width, 3]) -> features float32 [B, ...]
        prepare(features) -> memory_00 ... [B, ...], state_00 ... [B, ...]
        step(tokens int32 [B, K], state_00 ... [B, K, ...], memory_00 ... [B, ...])
            -> log_probs float32 [B, K, V], state_00 ... [B, K, ...],
               attention float32 [B, K, P] where the decoder attends

    The numbered tensors are the decoder's nests as `tf.nest` flattens them.

    Four things keep what is captioned close to what was trained on:

    - Features pass through the data set's dtype, as they did on the way to the decoder.
    - JPEGs are decoded with the accurate transform, which gives Pillow's pixels.
    - Image files are decoded at the size and scaled as `transforms.images` does it, bicubic with
      antialiasing. Over 79 COCO photographs 3 values in 10,000 differ from Pillow's, by one grey
      level.
    - Where the data set's images were stored alike, JPEGs of other sizes and other files are stored
      so first; see `transforms.stored`. Of 30 COCO photographs, stored at 224x224 and quality 85,
      22 values in 100 differ from Pillow's then, by 0.31 grey levels in the mean and 15 at most.
      Colours at half the width only (4:2:2) are stored at half the height too, and JPEGs of about
      that size are left as they are whatever their quality.

    Unlike `transforms.images`, the graph does not turn a photograph as its EXIF orientation says,
    reads only JPEG, PNG, GIF, BMP and WebP, and fails a whole batch for one bad file.
    """

    def __init__(
        self,
        model: Captioner,
        dataset: Dataset,
        encoder: Encoder | None,
        *,
        beam_width: int,
        length_penalty: float,
    ) -> None:
        """Trace the graphs.

        Args:
            model: trained.
            dataset: what it was trained on.
            encoder: what made the data set's features; None where the model sees pixels.
            beam_width: of the search when only images are given.
            length_penalty: likewise.
        """
        super().__init__(name="captioner")
        self._model = _Untracked(model)
        self._encoder = _Untracked(encoder)
        keras_variables = [*model.variables, *(encoder.model.variables if encoder else [])]
        self.weights = [variable.value for variable in keras_variables]
        self._stored_dtype = tf.as_dtype(dataset.feature_dtype or "float32")
        # What the model's own CNN computes is never stored.
        self._dtype = tf.float32 if model.encoder else self._stored_dtype
        self._size: tuple[int, int] = tuple(dataset.encoder["input_size"])
        self._like = stored.of(dataset.manifest)
        self._max_length: int = dataset.text["max_length"]
        self._beam_width, self._length_penalty = beam_width, length_penalty

        words = dataset.vocabulary.tokens[len(RESERVED) :]
        tokenizer = dataset.text["tokenizer"]
        # Where `join` puts spaces depends on the two tokens at either side alone.
        ends = [join([word, "a"], tokenizer) == f"{word} a" for word in words]
        starts = [join(["a", word], tokenizer) == f"a {word}" for word in words]
        reserved = len(RESERVED)
        self._words = tf.constant([""] * reserved + list(words))
        self._ends = tf.constant([False] * reserved + ends)
        self._starts = tf.constant([False] * reserved + starts)

        shape = dataset.grid_shape or _map_shape(model.encoder, self._size)
        pixels = tf.TensorSpec([None, *self._size, 3], tf.uint8, "pixels")
        features = tf.TensorSpec([None, *shape], tf.float32, "features")
        width = tf.TensorSpec([], tf.int32, "beam_width")
        penalty = tf.TensorSpec([], tf.float32, "length_penalty")
        images = tf.TensorSpec([None], tf.string, "images")
        function = functools.partial(tf.function, autograph=False)
        self.encode = function(self._encode, [pixels])
        self.caption_features = function(self._caption_features, [features, width, penalty])
        self.caption_pixels = function(self._caption_pixels, [pixels, width, penalty])
        self.caption_images = function(self._caption_images, [images])
        self.prepare = function(self._prepare, [features])
        self.step = self._trace_step()

    def signatures(self) -> dict[str, Any]:
        """Return the signatures of the SavedModel by name."""
        return {
            "serving_default": self.caption_images,
            "caption_pixels": self.caption_pixels,
            "caption_features": self.caption_features,
            "encode": self.encode,
            "prepare": self.prepare,
            "step": self.step,
        }

    def _encode(self, pixels: tf.Tensor) -> Outputs:
        """Turn uint8 [B, height, width, 3] into features, float32 with the stored precision."""
        encoder: Encoder | None = self._encoder.value
        features = pixels
        if encoder is not None:
            features = tf.cast(encoder.model(pixels, training=False), self._stored_dtype)
        return {"features": tf.cast(self._model.value.encode(features), tf.float32)}

    def _caption_features(
        self, features: tf.Tensor, beam_width: tf.Tensor, length_penalty: tf.Tensor
    ) -> Outputs:
        """Search for the captions of float32 [B, ...]."""
        tf.debugging.assert_positive(beam_width, "beam_width must be at least 1")
        model: Captioner = self._model.value
        tokens, scores = beam_search(
            model,
            model.decoder.prepare(self._stored(features), Noise()),
            beam_width=beam_width,
            length_penalty=length_penalty,
            max_length=self._max_length,
        )
        captions = self._spell(tokens)
        return {
            "caption": captions[:, 0],
            "score": scores[:, 0],
            "captions": captions,
            "scores": scores,
        }

    def _prepare(self, features: tf.Tensor) -> Outputs:
        """Do once per image what its captions share, float32 [B, ...]."""
        model: Captioner = self._model.value
        memory = model.decoder.prepare(self._stored(features), Noise())
        state = model.initial_state(memory)
        self._nests = _Untracked(tuple(tf.nest.map_structure(_hollow, n) for n in (memory, state)))
        return _numbered("memory", memory) | _numbered("state", state)

    def _trace_step(self) -> Any:
        """Return the graph of one word of each hypothesis; see `Serving`."""
        shapes = self.prepare.get_concrete_function().structured_outputs
        inputs = {"tokens": tf.TensorSpec([None, None], tf.int32, "tokens")}
        for name, tensor in shapes.items():
            free = [None] if name.startswith("memory") else [None, None]
            inputs[name] = tf.TensorSpec(free + tensor.shape[1:].as_list(), tensor.dtype, name)
        memories, states = self._nests.value

        def step(**values: tf.Tensor) -> Outputs:
            memory = _nested("memory", memories, values)
            state = _nested("state", states, values)
            logits, state, *attention = self._model.value.step(values["tokens"], state, memory)
            outputs = {"log_probs": tf.nn.log_softmax(logits)} | _numbered("state", state)
            if attention and attention[0] is not None:
                outputs["attention"] = attention[0]
            return outputs

        return tf.function(step, autograph=False).get_concrete_function(**inputs)

    def _caption_pixels(
        self, pixels: tf.Tensor, beam_width: tf.Tensor, length_penalty: tf.Tensor
    ) -> Outputs:
        features = self.encode(pixels)["features"]
        return self.caption_features(features, beam_width, length_penalty)

    def _caption_images(self, images: tf.Tensor) -> Outputs:
        spec = tf.TensorSpec([*self._size, 3], tf.uint8)
        pixels = tf.map_fn(
            lambda data: decode(data, self._size, self._like), images, fn_output_signature=spec
        )
        return self.caption_pixels(
            pixels, tf.constant(self._beam_width), tf.constant(self._length_penalty)
        )

    def _stored(self, features: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.cast(features, self._dtype), tf.float32)

    def _spell(self, tokens: tf.Tensor) -> tf.Tensor:
        """Write captions as `transforms.text.join` does, int32 [B, K, T] -> string [B, K]."""
        pieces = tf.gather(self._words, tokens)
        gaps = tf.gather(self._ends, tokens[..., :-1]) & tf.gather(self._starts, tokens[..., 1:])
        spaces = tf.where(gaps, " ", "")
        return tf.strings.reduce_join(
            tf.concat([pieces[..., :1], spaces + pieces[..., 1:]], axis=-1), axis=-1
        )


class _Untracked:
    """Hides a Keras object from tf.Module, which would store it with the graph."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _hollow(_: tf.Tensor) -> int:
    return 0


def _numbered(prefix: str, nest: Any) -> Outputs:
    """Name the tensors of a nest by their places."""
    return {f"{prefix}_{n:02}": tensor for n, tensor in enumerate(tf.nest.flatten(nest))}


def _nested(prefix: str, nest: Any, values: Outputs) -> Any:
    """Put named tensors back into a nest."""
    flat = [values[f"{prefix}_{n:02}"] for n in range(len(tf.nest.flatten(nest)))]
    return tf.nest.pack_sequence_as(nest, flat)


def decode(data: tf.Tensor, size: tuple[int, int], like: Stored | None = None) -> tf.Tensor:
    """Decode one image file inside a graph; see `Serving` for how it differs from Pillow.

    Args:
        data: string scalar, the file's bytes.
        size: (height, width) to stretch the whole picture to.
        like: how pictures are to be stored before they are scaled; see `transforms.images.decode`.

    Returns:
        uint8 [height, width, 3], RGB; transparency is laid on white.
    """
    if like is None:
        return _decode(data, size)
    width, height = like.slack

    def fits() -> tf.Tensor:
        apart = tf.abs(tf.io.extract_jpeg_shape(data)[:2] - [like.height, like.width])
        return tf.reduce_all(apart <= [height, width])

    def store() -> tf.Tensor:
        pixels = _decode(data, (like.height, like.width), _BILINEAR)
        halved = like.subsampling != stored.FULL
        return tf.io.encode_jpeg(pixels, quality=like.quality, chroma_downsampling=halved)

    as_is = tf.cond(tf.io.is_jpeg(data), fits, lambda: tf.constant(False))
    return _decode(tf.cond(as_is, lambda: data, store), size)


def _decode(data: tf.Tensor, size: tuple[int, int], kernel: str = _BICUBIC) -> tf.Tensor:
    pixels, extent = tf.cond(
        tf.io.is_jpeg(data),
        lambda: _jpeg(data, size),
        lambda: _whole(_opaque(tf.io.decode_image(data, expand_animations=False))),
    )
    # Like Pillow, one direction after the other, in whole grey levels.
    across = tf.stack([1.0, size[1] / extent[1]])
    pixels = _scale(pixels, (tf.shape(pixels)[0], size[1]), across, kernel)
    pixels = _scale(pixels, size, tf.stack([size[0] / extent[0], 1.0]), kernel)
    return tf.ensure_shape(pixels, [*size, 3])


def _jpeg(data: tf.Tensor, size: tuple[int, int]) -> tuple[tf.Tensor, tf.Tensor]:
    """Decode a JPEG at the least of 1/8, 1/4, 1/2 of its size that is no smaller than `size`.

    Returns:
        Pixels, and float32 [2], how many rows and columns of them the picture fills: of an odd
        number the last one only in part.
    """
    shape = tf.io.extract_jpeg_shape(data)
    scale = tf.minimum(shape[0] // size[0], shape[1] // size[1])

    def at(ratio: int) -> Callable[[], tuple[tf.Tensor, tf.Tensor]]:
        return lambda: (
            tf.io.decode_jpeg(data, channels=3, ratio=ratio, dct_method="INTEGER_ACCURATE"),
            tf.cast(shape[:2], tf.float32) / ratio,
        )

    return tf.case([(scale >= ratio, at(ratio)) for ratio in (8, 4, 2)], default=at(1))


def _whole(pixels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return pixels, tf.cast(tf.shape(pixels)[:2], tf.float32)


def _scale(
    pixels: tf.Tensor, size: tuple[int | tf.Tensor, int], scale: tf.Tensor, kernel: str
) -> tf.Tensor:
    """Resize uint8 [h, w, 3] to `size`, a pixel becoming `scale`, float32 [2], pixels."""
    # As tf.image.resize does it, which knows no parts of pixels.
    values = tf.raw_ops.ScaleAndTranslate(
        images=tf.cast(pixels, tf.float32)[None],
        size=size,
        scale=scale,
        translation=tf.zeros([2]),
        kernel_type=kernel,
        antialias=True,
    )[0]
    return tf.saturate_cast(tf.round(values), tf.uint8)


def _opaque(image: tf.Tensor) -> tf.Tensor:
    """Turn uint8 [height, width, 1 to 4] (grey, grey and alpha, RGB, RGBA) into RGB."""
    image = tf.ensure_shape(image, [None, None, None])
    transparent = tf.shape(image)[2] % 2 == 0
    colours = tf.shape(image)[2] - tf.cast(transparent, tf.int32)
    rgb = tf.gather(image, tf.minimum(tf.range(3), colours - 1), axis=2)

    def lay_on_white() -> tf.Tensor:
        share = tf.cast(image[..., -1:], tf.float32) / 255
        return tf.cast(tf.round(tf.cast(rgb, tf.float32) * share + 255 * (1 - share)), tf.uint8)

    return tf.cond(transparent, lay_on_white, lambda: rgb)


def _map_shape(encoder: Any, size: tuple[int, int]) -> list[int]:
    """Return the shape of what a model's own CNN makes of an image."""
    return encoder(tf.zeros([1, *size, 3], tf.uint8), noise=Noise()).shape[1:].as_list()
