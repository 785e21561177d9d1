"""Beam's RunInference with a handler of one's own, and Beam's own Parquet sink.

Beam's TensorFlow handlers need a package that does not work with current setuptools, so the
handler is the subclass that its documentation describes.
"""

import functools
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.ml.inference.base import ModelHandler, RunInference
from apache_beam.options.pipeline_options import PipelineOptions

from benchmarks import child, photos
from benchmarks.peers.keras_model import KerasCaptioner, decode
from transforms.stored import Form

BATCH = 32
SCHEMA = pa.schema([("uri", pa.string()), ("caption", pa.string())])


class Handler(ModelHandler[tuple[str, np.ndarray], tuple[str, str], KerasCaptioner]):
    """Captions (path, pixels) in batches."""

    def __init__(self, captioner: str, beam_width: int, length_penalty: float) -> None:
        self._arguments = (captioner, beam_width, length_penalty)
        super().__init__()

    def load_model(self) -> KerasCaptioner:
        """Load the captioner, once a process."""
        return load(*self._arguments)

    def run_inference(
        self,
        batch: Sequence[tuple[str, np.ndarray]],
        model: KerasCaptioner,
        inference_args: dict[str, Any] | None = None,
    ) -> list[tuple[str, str]]:
        """Caption a batch."""
        captions = model.caption(np.stack([pixels for _, pixels in batch]))
        return [(path, caption) for (path, _), caption in zip(batch, captions, strict=True)]

    def batch_elements_kwargs(self) -> dict[str, int]:
        """Keep batches of one size."""
        return {"min_batch_size": BATCH, "max_batch_size": BATCH}


@functools.lru_cache(maxsize=1)
def load(captioner: str, beam_width: int, length_penalty: float) -> KerasCaptioner:
    """Load once for both the run that warms up and the run that is timed."""
    return KerasCaptioner(captioner, beam_width, length_penalty)


def read(path: str, form: Form) -> tuple[str, np.ndarray]:
    """Return a picture's path and pixels."""
    return path, decode(Path(path).read_bytes(), form)


def run(images: str, captioner: str, beam_width: int, length_penalty: float) -> dict[str, Any]:
    """Caption a folder."""
    arguments = (captioner, beam_width, length_penalty)
    paths, form = photos.paths(images), load(*arguments).form
    list(_run(paths[:BATCH], form, arguments))
    with child.timed() as section:
        count = sum(_run(paths, form, arguments))
    return section.facts(count)


def _run(paths: list[str], form: Form, arguments: tuple[str, int, float]) -> Iterator[int]:
    options = PipelineOptions(["--runner=FnApiRunner"])
    with tempfile.TemporaryDirectory() as folder:
        with beam.Pipeline(options=options) as pipeline:
            _ = (
                pipeline
                | beam.Create(paths, reshuffle=False)
                | beam.Map(read, form)
                | RunInference(Handler(*arguments))
                | beam.Map(lambda pair: {"uri": pair[0], "caption": pair[1]})
                | beam.io.WriteToParquet(f"{folder}/captions", SCHEMA)
            )
        import pyarrow.parquet as pq

        for path in Path(folder).glob("captions*"):
            yield pq.ParquetFile(path).metadata.num_rows
