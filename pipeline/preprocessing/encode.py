"""One unit of preprocessing: read, decode, encode, write."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import numpy as np

from pipeline.common import memory, models, progress, reading, units
from pipeline.common.performance import Performance
from pipeline.common.units import UnitReport
from pipeline.preprocessing.elements import Planned, Unit
from pipeline.preprocessing.settings import Settings
from transforms import (
    encoders,
    files,
    images,
    isolation,
    records,
    stored,
    tensorflow_start,
    text,
    views,
)
from transforms.prefetch import ordered_map
from transforms.records import Record
from transforms.rejects import Reject, RejectCode
from transforms.stored import Form

JPEG_QUALITY = 95


class EncodeUnit(beam.DoFn):
    """Turns a unit into a record file and its report; a unit that is done is only reported."""

    def __init__(self, settings: Settings, performance: Performance) -> None:
        self._settings = settings
        self._performance = performance

    def setup(self) -> None:
        """Prepare the worker process."""
        memory.steady()

    def process(self, unit: Unit, vocabulary: text.Vocabulary, total: int) -> Iterator[UnitReport]:
        """Yield the report of one unit.

        Args:
            unit: the images.
            vocabulary: of the whole job.
            total: images of the whole job, for the progress.
        """
        settings = self._settings
        if settings.encoder != "none":
            tensorflow_start.start(self._performance.threads)
        name = unit_name(unit, settings, vocabulary)
        reporter = progress.Reporter(settings.output, total)

        def work(careful: bool) -> UnitReport:
            performance = self._performance
            with isolation.decoder(careful, performance.image_seconds) as decoder:
                return encode_unit(name, unit, settings, performance, vocabulary, reporter, decoder)

        seconds = self._performance.image_seconds
        report, earlier = units.once(settings.output, name, work, seconds)
        if earlier:
            reporter.add(resumed=len(unit.images))
        reporter.flush()
        beam.metrics.Metrics.counter("beamcap", "images").inc(report.images)
        beam.metrics.Metrics.counter("beamcap", "rejects").inc(len(report.rejects))
        yield report


def encode_unit(
    name: str,
    unit: Unit,
    settings: Settings,
    performance: Performance,
    vocabulary: text.Vocabulary,
    reporter: progress.Reporter,
    decoder: isolation.Decoder,
) -> UnitReport:
    """Write a unit's record file and return its report.

    Raises:
        OSError: the file cannot be written; nothing of it is left behind.
    """
    rejects: list[Reject] = []
    found: dict[str, stored.Stored | None] = {}
    counts = {"images": 0, "captions": 0, "rejected": 0, "lost": 0}

    def batches() -> Iterator[tuple[list[Any], int]]:
        """Yield batches of what is kept, each with the number of what is not."""
        sources = [(image, image.ref, image.sha256) for image in unit.images]
        form = Form(input_size(settings), settings.like)
        limits = images.Limits(truncated=settings.truncated)
        for batch in reading.batches(
            sources,
            lambda data: decoder.decode(data, form, limits),
            settings.batch_size,
            performance.readers,
            decoder.check,
        ):
            kept = []
            for image, result in batch:
                tokens = _token_ids(image, settings, vocabulary)
                empty = len(image.captions) - len(tokens)
                if isinstance(result, images.Picture) and (tokens or not image.captions):
                    kept.append((image, result, tokens))
                    counts["captions"] += len(tokens)
                    counts["lost"] += empty
                    if empty:
                        rejects.append(_caption_reject(image, f"{empty} captions have no word"))
                else:
                    counts["rejected"] += 1
                    counts["lost"] += len(image.captions)
                    rejects.append(
                        result
                        if isinstance(result, Reject)
                        else _caption_reject(image, "none of its captions has a word")
                    )
            counts["images"] += len(kept)
            found.update((image.sha256, picture.stored) for image, picture, _ in kept)
            yield kept, len(batch) - len(kept)

    def encode(batch: tuple[list[Any], int]) -> tuple[list[bytes], int, int]:
        kept, refused = batch
        chosen = ("", *_views(unit, settings))
        lines = [line for view in chosen for line in _encode_batch(kept, settings, view)]
        return lines, len(kept), refused

    def encoded() -> Iterator[bytes]:
        # One batch is written, of another records are made, and a third is in the CNN.
        for lines, done, refused in ordered_map(encode, batches(), 2, 3):
            yield from lines
            reporter.add(done=done, rejected=refused)

    with files.atomic(files.join(settings.output, "data", name)) as stream:
        records.write(stream, encoded())
        file = f"data/{unit.split}-{units.attempt(name, rejects)}.tfrecord"
        stream.path = files.join(settings.output, file)
    written = counts["images"] * (1 + len(_views(unit, settings)))
    facts = {"records": written, "bytes": stream.size, "sha256": stream.sha256}
    if not counts["images"]:
        files.delete(stream.path)
    return UnitReport(
        group=unit.split,
        file=file if counts["images"] else "",
        facts=facts,
        images=counts["images"],
        captions=counts["captions"],
        rejects=tuple(rejects),
        rejected=counts["rejected"],
        lost=counts["lost"],
        # By their digests: the order in which images are read is that of their sources.
        stored=tuple(found[sha256] for sha256 in sorted(found)[: stored.SAMPLE]),
    )


def unit_name(unit: Unit, settings: Settings, vocabulary: text.Vocabulary) -> str:
    """Return the digest of everything that shapes a unit's file."""
    encoder = load_encoder(settings)
    chosen = _views(unit, settings)
    return units.digest(
        "records-4",
        *([chosen] if chosen else []),
        *([dataclasses.asdict(settings.like)] if settings.like else []),
        None if encoder is None else encoder.digest,
        settings.dtype if encoder else settings.image_size,
        settings.truncated,
        settings.batch_size,
        settings.tokenizer,
        settings.max_length,
        vocabulary.digest,
        [(image.ref.key, image.ref.uri, image.sha256, image.captions) for image in unit.images],
    )


def _views(unit: Unit, settings: Settings) -> tuple[str, ...]:
    """Return the views that are stored beside a unit's images: what is held out has none."""
    return settings.views if unit.split == "train" else ()


def load_encoder(settings: Settings) -> encoders.Encoder | None:
    """Return the encoder that the settings name, None where images are stored."""
    if settings.encoder == "none":
        return None
    return _load_encoder(
        settings.encoder, settings.weights, settings.features, settings.seed, settings.batch_size
    )


@models.once
def _load_encoder(
    name: str, weights: str, features: str, seed: int, batch_size: int
) -> encoders.Encoder:
    tensorflow_start.start()
    # The graph sees one batch size only, so an image's features do not depend on the others.
    return encoders.load(name, weights, features=features, seed=seed, batch_size=batch_size)


def input_size(settings: Settings) -> tuple[int, int]:
    """Return the (height, width) that images are resized to."""
    encoder = load_encoder(settings)
    return encoder.input_size if encoder else (settings.image_size, settings.image_size)


def _token_ids(
    image: Planned, settings: Settings, vocabulary: text.Vocabulary
) -> list[tuple[str, tuple[int, ...]]]:
    result = []
    for caption in image.captions:
        tokens = text.tokenize(caption, settings.tokenizer)
        if tokens:
            result.append((caption, tuple(vocabulary.encode(tokens, settings.max_length))))
    return result


def _caption_reject(image: Planned, message: str) -> Reject:
    return Reject(image.ref.key, image.ref.uri, "text", RejectCode.CAPTION_EMPTY, message)


def _encode_batch(kept: list[Any], settings: Settings, view: str) -> list[bytes]:
    if not kept:
        return []
    pictures = [views.apply(picture.pixels, view, image.sha256) for image, picture, _ in kept]
    encoder = load_encoder(settings)
    features: list[np.ndarray] | None = None
    if encoder is not None:
        features = list(encoder.encode(np.stack(pictures)).astype(settings.dtype))
    return records.encode(
        [
            Record(
                key=image.ref.key,
                uri=image.ref.uri,
                sha256=image.sha256,
                width=picture.width,
                height=picture.height,
                captions=tuple(caption for caption, _ in tokens),
                token_ids=tuple(ids for _, ids in tokens),
                features=None if features is None else features[index],
                image=images.to_jpeg(pictures[index], JPEG_QUALITY) if features is None else None,
                view=view,
            )
            for index, (image, picture, tokens) in enumerate(kept)
        ]
    )
