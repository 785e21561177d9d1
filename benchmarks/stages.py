"""The stages of a job, each alone and at its best on the cores that it may use."""

import math
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from benchmarks import child, models, photos
from transforms.stored import Form

T = TypeVar("T")
LEAST_SECONDS = 2.0


def read(images: str) -> dict[str, Any]:
    """Read files as a job does: once to know their content, once to decode them."""
    from pipeline.common import fingerprints
    from transforms import sources

    refs = list(sources.list_images(images))

    def both(ref: Any) -> int:
        fingerprints.fingerprint(ref)
        data = sources.read(ref)
        fingerprints.digest(data)
        return len(data)

    return _threaded(both, refs, share=fingerprints.SHARE)


def decode(images: str, captioner: str) -> dict[str, Any]:
    """Decode images that are in memory to what a captioner takes."""
    return _decoded(images, models.form(captioner))


def resize(images: str, size: tuple[int, int]) -> dict[str, Any]:
    """Decode and resize images that are in memory."""
    return _decoded(images, Form((size[0], size[1])))


def _decoded(images: str, form: Form) -> dict[str, Any]:
    from transforms import images as decoder

    data = [_bytes(path) for path in photos.paths(images)]
    return _threaded(lambda one: decoder.decode(one, form), data, share=8)


def encode(images: str, captioner: str, engine: str, precision: str = "fp32") -> dict[str, Any]:
    """Run the encoder on batches that are ready: the ceiling of the job."""
    parts = models.load(captioner, engine, 3, 0.7, precision)
    batches = [pixels(images, parts.form, start * models.BATCH) for start in range(4)]
    # Two callers, so that the engine has the next batch at hand when it is done with one.
    facts = _threaded(lambda batch: np.asarray(parts.encode(batch)), batches, threads=2)
    return {**facts, "images": facts["images"] * models.BATCH}


def search(
    images: str, captioner: str, engine: str, beam_width: int, length_penalty: float
) -> dict[str, Any]:
    """Search for the captions of features that are ready, a batch on each core."""
    parts = models.load(captioner, engine, beam_width, length_penalty)
    features = [
        parts.encode(pixels(images, parts.form, start * models.BATCH)) for start in range(8)
    ]
    captions = [caption for one in features for caption in parts.search(one)]
    facts = _threaded(parts.search, features)
    words = float(np.mean([len(caption.split()) for caption in captions]))
    return {**facts, "images": facts["images"] * models.BATCH, "words": words}


def write(count: int) -> dict[str, Any]:
    """Write the rows of units of captions, with the files that go with them."""
    from pipeline.captioning import parts

    def rows(unit: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        table, index = [], []
        for number in range(count):
            key = f"{unit:05}/{number:07}.jpg"
            base = {"key": key, "uri": f"/data/photos/{key}", "sha256": f"{number:064x}"}
            caption = "a brown dog is running through the green grass"
            others = [{"caption": f"{caption} {k}", "score": -1.5} for k in range(2)]
            scored = {"caption": caption, "score": -1.25, "alternatives": others}
            table.append({**base, "width": 640, "height": 480, **scored})
            facts = {"size": 100_000 + number, "modified": 1.7e9 + number}
            index.append({**base, **facts, "stage": None, "code": None, "message": None})
        return table, index

    units = [rows(unit) for unit in range(4)]
    with tempfile.TemporaryDirectory() as folder:

        def work() -> None:
            for number, (table, index) in enumerate(units):
                parts.write(folder, f"unit-{number}", table, index, {})

        return _repeated(work, len(units) * count)


def encode_features(images: str, encoder: str) -> dict[str, Any]:
    """Run the encoder of preprocessing on batches that are ready: the ceiling of that job."""
    from transforms import encoders, tensorflow_start

    tensorflow_start.start()
    loaded = encoders.load(encoder)
    batch = pixels(images, Form(loaded.input_size))
    return _repeated(lambda: loaded.encode(batch), len(batch))


def write_records(images: str, shape: Sequence[int]) -> dict[str, Any]:
    """Encode and write records with features."""
    from transforms import files, records

    random = np.random.default_rng(0)
    features = random.standard_normal((models.BATCH, *shape)).astype(np.float16)
    caption = "a brown dog is running through the green grass"
    units = [
        [
            records.Record(
                key=f"{number:07}.jpg",
                uri=f"{images}/{number:07}.jpg",
                sha256=f"{number:064x}",
                width=640,
                height=480,
                captions=(caption,) * 5,
                token_ids=((2, *range(4, 13), 3),) * 5,
                features=features[number % models.BATCH],
                image=None,
            )
            for number in range(start, start + models.BATCH)
        ]
        for start in range(0, 8 * models.BATCH, models.BATCH)
    ]
    with tempfile.TemporaryDirectory() as folder:

        def work() -> None:
            with files.atomic(f"{folder}/unit.tfrecord") as stream:
                records.write(stream, (data for batch in units for data in records.encode(batch)))

        return _repeated(work, len(units) * models.BATCH)


def pixels(images: str, form: Form, start: int = 0) -> np.ndarray:
    """Return a batch of decoded pictures, uint8 [BATCH, height, width, 3]."""
    from transforms import images as decoder

    paths = photos.paths(images)
    chosen = [paths[n % len(paths)] for n in range(start, start + models.BATCH)]
    return np.stack([decoder.decode(_bytes(path), form).pixels for path in chosen])


def _bytes(path: str) -> bytes:
    with open(path, "rb") as stream:  # noqa: PTH123  # thousands of times, timed
        return stream.read()


def _threaded(
    function: Callable[[T], object], items: Sequence[T], *, threads: int = 0, share: int = 1
) -> dict[str, Any]:
    """Time a function of items, called by threads for a few seconds without a pause.

    Args:
        function: of one item.
        items: each is an image, done again and again.
        threads: how many; 0 for one a core.
        share: items that a thread takes at a time: handing over takes a while.
    """
    shares = [items[start : start + share] for start in range(0, len(items), share)]

    def work(some: Sequence[T]) -> None:
        for item in some:
            function(item)

    with ThreadPoolExecutor(threads or len(os.sched_getaffinity(0))) as pool:

        def go(times: int) -> float:
            start = time.perf_counter()
            for _ in pool.map(work, shares * times):
                pass
            return time.perf_counter() - start

        go(1)
        times = math.ceil(LEAST_SECONDS / go(1))
        with child.timed() as section:
            go(times)
    return section.facts(len(items) * times)


def _repeated(work: Callable[[], object], images: int) -> dict[str, Any]:
    """Time work that does some images, after one go to warm up, for a few seconds."""
    work()
    times = 0
    with child.timed() as section:
        end = time.perf_counter() + LEAST_SECONDS
        while not times or time.perf_counter() < end:
            work()
            times += 1
    return section.facts(images * times)
