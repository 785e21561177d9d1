"""Reading a data set that `pipeline.preprocess` wrote."""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transforms import captions_table, files, manifests, records
from transforms.errors import UsageError
from transforms.text import Vocabulary

if TYPE_CHECKING:
    import tensorflow as tf

MANIFEST = "dataset.json"
FORMAT = "beamcap.dataset"
VOCABULARY = "vocabulary.txt"
DUPLICATES = "duplicates.parquet"
REMEDY = "make the data set with `python -m pipeline.preprocess`"
DECODE_BATCH = 64


class Dataset:
    """A finished data set.

    Attributes:
        folder: the directory.
        manifest: the content of `dataset.json`.
        vocabulary: the words that its token ids stand for.
    """

    def __init__(self, folder: str) -> None:
        """Open the data set.

        Raises:
            UsageError: the directory is no finished data set, or was tampered with.
        """
        self.folder = str(folder).rstrip("/")
        self.manifest: dict[str, Any] = manifests.read(self.folder, MANIFEST, FORMAT, REMEDY)
        text = files.read_bytes(files.join(self.folder, VOCABULARY)).decode()
        self.vocabulary = Vocabulary.from_text(text)
        if self.vocabulary.digest != self.text["digest"]:
            raise UsageError(
                f"{self.folder}: {VOCABULARY} is not the one that the token ids were made with;"
                f" {REMEDY} again"
            )

    @functools.cached_property
    def digest(self) -> str:
        """The digest of the data set's files, as provenance."""
        import hashlib
        import json

        facts = json.dumps(self.manifest["files"], sort_keys=True)
        return hashlib.sha256(facts.encode()).hexdigest()

    @property
    def encoder(self) -> dict[str, Any]:
        """What made the features: name, weights, input_size, output_shape, digest, dtype, rest."""
        return self.manifest["encoder"]

    @property
    def text(self) -> dict[str, Any]:
        """How captions became ids: tokenizer, max_length, size and digest of the vocabulary."""
        return self.manifest["text"]

    @property
    def stores_images(self) -> bool:
        """Whether the records hold JPEGs instead of features."""
        return self.encoder["name"] == "none"

    @property
    def cut(self) -> bool:
        """Whether the features are those of a CNN's lower blocks."""
        return "rest" in self.encoder

    @property
    def feature_shape(self) -> tuple[int, ...] | None:
        """Shape of one image's features; None where the records hold JPEGs."""
        return None if self.stores_images else tuple(self.encoder["output_shape"])

    @property
    def grid_shape(self) -> tuple[int, ...] | None:
        """Shape of what a decoder sees of one image; None where the records hold JPEGs.

        That is `feature_shape`, unless the features are those of a CNN's lower blocks.
        """
        rest = self.encoder.get("rest")
        return tuple(rest["output_shape"]) if rest else self.feature_shape

    @property
    def feature_dtype(self) -> str | None:
        """`float16` or `float32`; None where the records hold JPEGs."""
        return None if self.stores_images else self.encoder["dtype"]

    @property
    def generated_weight(self) -> float:
        """Weight of a caption that a captioner wrote, where one that people wrote has 1."""
        return self.manifest.get("generated", {}).get("weight", 1.0)

    def images(self, split: str) -> int:
        """Return the number of images of a split."""
        return self.manifest["splits"].get(split, {}).get("images", 0)

    def examples(self, split: str) -> int:
        """Return the number of records of a split: its images, and the views of them."""
        return self.manifest["splits"].get(split, {}).get("records", self.images(split))

    def captions(self, split: str) -> int:
        """Return the number of captions of a split."""
        return self.manifest["splits"].get(split, {}).get("captions", 0)

    def files(self, split: str) -> list[str]:
        """Return the paths of a split's record files, in a fixed order."""
        names = self.manifest["splits"].get(split, {}).get("files", [])
        return [files.join(self.folder, name) for name in names]

    def file_records(self, path: str) -> Iterator[records.Record]:
        """Yield the records of one of the files; raises like `records`."""
        with files.open_read(path) as stream:
            batch = []
            for example in records.read(stream, path):
                batch.append(example)
                if len(batch) == DECODE_BATCH:
                    yield from records.decode(batch, self.feature_shape, self.feature_dtype)
                    batch = []
            yield from records.decode(batch, self.feature_shape, self.feature_dtype)

    def records(self, split: str) -> Iterator[records.Record]:
        """Yield a split's records in the order of its files.

        Raises:
            RecordError: a file is cut short or corrupt.
        """
        for path in self.files(split):
            yield from self.file_records(path)

    def copies(self) -> dict[str, list[str]]:
        """Return by an image's key those of other images of its bytes, which have no record.

        Bytes of keys that are no text are escapes, `\\xNN`, as in tables.
        """
        found: dict[str, list[str]] = {}
        if DUPLICATES in self.manifest["files"]:
            with files.open_read(files.join(self.folder, DUPLICATES)) as stream:
                for row in captions_table.read_rows(stream):
                    found.setdefault(row["original_key"], []).append(row["key"])
        return found

    def tf_dataset(self, split: str) -> "tf.data.Dataset":
        """Return a split as a `tf.data.Dataset` of one dictionary per image.

        Keys: `key` string scalar; `features` `feature_shape` in `feature_dtype`, or `image`
        string scalar (JPEG); `token_ids` int32 `[captions, longest]`, each row from START to
        END and padded with 0; `generated` bool `[captions]`, whether a captioner wrote it.
        """
        import tensorflow as tf

        return tf.data.TFRecordDataset(self.files(split), num_parallel_reads=1).map(
            functools.partial(parse, shape=self.feature_shape, dtype=self.feature_dtype),
            num_parallel_calls=tf.data.AUTOTUNE,
        )


def parse(
    example: "tf.Tensor", shape: tuple[int, ...] | None, dtype: str | None
) -> dict[str, "tf.Tensor"]:
    """Parse one serialised Example inside a TensorFlow graph; see `Dataset.tf_dataset`."""
    import tensorflow as tf

    content = "image" if shape is None else "features"
    parsed = tf.io.parse_single_example(
        example,
        {
            "key": tf.io.FixedLenFeature([], tf.string),
            content: tf.io.FixedLenFeature([], tf.string),
            "generated": tf.io.RaggedFeature(tf.int64),
            "token_ids": tf.io.RaggedFeature(tf.int64),
            "token_lengths": tf.io.RaggedFeature(tf.int64),
        },
    )
    ids = tf.RaggedTensor.from_row_lengths(parsed["token_ids"], parsed["token_lengths"])
    marks = parsed["generated"]  # None at all where people wrote every caption.
    marks = tf.pad(marks, [[0, ids.nrows() - tf.size(marks, tf.int64)]])
    result = {
        "key": parsed["key"],
        "token_ids": tf.cast(ids.to_tensor(), tf.int32),
        "generated": marks > 0,
    }
    if shape is None:
        result["image"] = parsed["image"]
    else:
        flat = tf.io.decode_raw(parsed["features"], tf.as_dtype(dtype))
        result["features"] = tf.reshape(flat, shape)
    return result


def open_dataset(folder: str | Path) -> Dataset:
    """Open a finished data set; raises UsageError as `Dataset` does."""
    return Dataset(str(folder))
