"""Planning a data set: list, join, fingerprint, divide, group into units.

References and captions cross shuffles here; images and features never do.
"""

import dataclasses
import logging
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam import pvalue

from pipeline.common import fingerprints, units
from pipeline.common.listing import list_sources
from pipeline.common.sums import summed
from pipeline.preprocessing.elements import Copied, Planned, Unit
from pipeline.preprocessing.settings import Settings
from transforms import annotations, files, joining, splits
from transforms.errors import UsageError
from transforms.files import decoded, encoded
from transforms.joining import Captioned, Listed, Lost
from transforms.matching import comparable
from transforms.rejects import Reject
from transforms.sources import ImageRef, stem

FOLDERS = "folders"
NO_CAPTIONS = "none"
NO_TRAIN = (
    "no image is in the train split: check the lists, the split field or folders, or the fractions"
)


@dataclasses.dataclass(frozen=True)
class Plan:
    """The collections of a planned job.

    Attributes:
        units: `Unit`s of work.
        kept: the `Planned` images in them.
        lost: `Lost` images and captions.
        copies: `Copied` names.
        total: one number, the images kept.
        listed: one number, the images found.
        captions_read: one number, the captions found, malformed rows among them.
    """

    units: beam.PCollection
    kept: beam.PCollection
    lost: beam.PCollection
    copies: beam.PCollection
    total: pvalue.AsSingleton
    listed: pvalue.AsSingleton
    captions_read: pvalue.AsSingleton


def plan(pipeline: beam.Pipeline, settings: Settings, readers: int) -> Plan:
    """Add the planning: list, join, fingerprint, divide, group into units.

    Images are read by so many threads a worker.
    """
    found = list_sources(pipeline, settings.images)
    images = found.images
    notes = (
        pipeline
        | "CaptionFiles" >> beam.Create(list(enumerate(map(encoded, settings.captions))))
        | "ReadCaptions"
        >> beam.FlatMap(read_annotations, settings.captions_format).with_outputs(
            "malformed", main="notes"
        )
    )
    annotated = notes.notes
    if settings.captions_format == FOLDERS:
        annotated = images | "FolderNames" >> beam.FlatMap(folder_annotation)
    listed = (
        pipeline
        | "Lists" >> beam.Create([(split, encoded(path)) for split, path in settings.lists])
        | "ReadLists" >> beam.FlatMapTuple(read_list)
    )
    joined = (
        {
            "images": images | "ImageStem" >> beam.Map(lambda ref: (stem_key(ref.key), ref)),
            "refused": found.rejects
            | "RefusedStem" >> beam.Map(lambda reject: (stem_key(reject.key), reject)),
            "notes": annotated
            | "NoteStem" >> beam.Map(lambda pair: (stem_key(pair[1].name), pair)),
            "listed": listed | "ListStem" >> beam.Map(lambda entry: (stem_key(entry.name), entry)),
        }
        | "ByStem" >> beam.CoGroupByKey()
        | "Join"
        >> beam.FlatMap(
            join_group, bool(settings.lists), settings.captions_format == NO_CAPTIONS
        ).with_outputs("lost", main="joined")
    )
    known = (
        joined.joined
        | "Together" >> beam.BatchElements(fingerprints.TOGETHER, fingerprints.TOGETHER)
        | "Fingerprint"
        >> beam.FlatMap(add_fingerprints, readers).with_outputs("lost", main="known")
    )
    resolved = (
        known.known
        | "ByContent" >> beam.GroupByKey()
        | "Resolve" >> beam.FlatMap(resolve_copies, settings).with_outputs("copies", main="kept")
    )
    kept = resolved.kept
    sizes = (
        kept | "Split" >> beam.Map(lambda image: image.split) | beam.combiners.Count.PerElement()
    )
    lost = (notes.malformed, joined.lost, known.lost) | "Lost" >> beam.Flatten()
    codes = (
        lost
        | "Codes" >> beam.Map(lambda lost: lost.reject.code.value)
        | "CountCodes" >> beam.combiners.Count.PerElement()
    )
    # Encoding waits for the total, and so for the check.
    total = (
        sizes
        | "GatherSizes" >> beam.combiners.ToList()
        | "CheckSplits"
        >> beam.Map(check_splits, settings.captions_format != NO_CAPTIONS, pvalue.AsDict(codes))
    )
    grouped = (
        kept
        | "Bucket" >> beam.Map(bucketed, settings.unit_size, pvalue.AsDict(sizes))
        | "ByUnit" >> beam.GroupByKey()
        | "Unit" >> beam.MapTuple(make_unit)
    )
    captions_read = (
        (
            annotated | "CaptionsOf" >> beam.Map(lambda pair: len(pair[1].captions)),
            notes.malformed | "CaptionsLost" >> beam.Map(lambda row: row.captions),
        )
        | "CaptionsRead" >> beam.Flatten()
        | "SumCaptions" >> summed()
    )
    return Plan(
        units=grouped,
        kept=kept,
        lost=lost,
        copies=resolved.copies,
        total=pvalue.AsSingleton(total),
        listed=found.count,
        captions_read=captions_read,
    )


def stem_key(name: str) -> bytes:
    """Return the stem of a name as the key of a join; names of files may be no text."""
    return encoded(stem(comparable(name)))


def read_annotations(numbered: tuple[int, bytes], format_name: str) -> Iterator[Any]:
    """Yield (place, Annotation) of a caption file, whose path is encoded.

    Malformed rows go to `malformed`, each as one caption: nobody knows how many it should be.
    """
    order, path = numbered
    for row, item in enumerate(annotations.read(files.open_read, decoded(path), format_name)):
        if isinstance(item, Reject):
            yield pvalue.TaggedOutput("malformed", Lost(item, 0, 1))
        else:
            yield (order, row), item


def folder_annotation(ref: ImageRef) -> Iterator[Any]:
    """Yield the annotation that an image's folder name is."""
    annotation = annotations.from_folders(ref.key)
    if annotation is not None:
        yield (0, 0), annotation


def read_list(split: str, path: bytes) -> Iterator[Listed]:
    """Yield the lines of a list file, whose path is encoded."""
    for name in annotations.read_names(files.open_read, decoded(path), f"--{split}_list"):
        yield Listed(name, split)


def join_group(
    stem_group: tuple[bytes, dict[str, Iterable[Any]]], lists_given: bool, uncaptioned: bool
) -> Iterator[Any]:
    """Yield the images of a stem that have captions, or need none; the rest goes to `lost`."""
    _, group = stem_group
    kept, lost = joining.join(
        group["images"],
        group["notes"],
        group["listed"],
        lists_given,
        uncaptioned,
        group["refused"],
    )
    yield from kept
    for item in lost:
        yield pvalue.TaggedOutput("lost", item)


def add_fingerprints(several: list[Captioned], readers: int) -> Iterator[Any]:
    """Yield (sha256, image) of images; what cannot be read goes to `lost`."""
    results = fingerprints.fingerprint_all([image.ref for image in several], readers)
    for image, result in zip(several, results, strict=True):
        if isinstance(result, Reject):
            yield pvalue.TaggedOutput("lost", Lost(result, 1, len(image.captions)))
        else:
            yield result, image


def resolve_copies(content: tuple[str, Iterable[Captioned]], settings: Settings) -> Iterator[Any]:
    """Yield one image for the same bytes under several names; the others go to `copies`.

    The first name in the most held-out split stays, with the captions of all its copies in
    that split; copies in other splits are left out, so that nothing held out is trained on.
    """
    sha256, group = content
    members = sorted(group, key=lambda image: image.ref)
    divided = [
        (
            image.split
            or splits.by_hash(
                members[0].ref.key, settings.dev_fraction, settings.test_fraction, settings.seed
            ),
            image,
        )
        for image in members
    ]
    split = splits.most_held_out(name for name, _ in divided)
    same = [image for name, image in divided if name == split]
    first = same[0]
    captions = tuple(caption for image in same for caption in image.captions)
    yield Planned(first.ref, sha256, captions, split)
    for name, image in divided:
        if image is not first:
            count = 0 if name == split else len(image.captions)
            yield pvalue.TaggedOutput(
                "copies", Copied(image.ref, sha256, name, first.ref.key, split, count)
            )


def check_splits(sizes: list[tuple[str, int]], captioned: bool, codes: dict[str, int]) -> int:
    """Return the number of images, and say before they are encoded if training will miss some.

    Args:
        sizes: images of each split that has any.
        captioned: whether they are to be trained on, and not to be captioned by self-training.
        codes: rejects by code.

    Raises:
        UsageError: there are images, but none in train.
    """
    images = dict(sizes)
    if images and "train" not in images:
        counts = [*sorted(sizes), *sorted(codes.items())]
        raise UsageError(f"{NO_TRAIN} (" + ", ".join(f"{n:,} {what}" for what, n in counts) + ")")
    if images and captioned and "dev" not in images:
        logging.warning(
            "preprocess: no image is in the dev split, and trainer.task needs some: check the"
            " lists, the split field or folders, or the fractions"
        )
    return sum(images.values())


def bucketed(image: Planned, unit_size: int, sizes: dict[str, int]) -> tuple[str, Planned]:
    """Return an image with the name of its unit."""
    identity = fingerprints.identity(image.ref, image.sha256)
    number = units.bucket(identity, sizes[image.split], unit_size)
    return f"{image.split}/{number}", image


def make_unit(name: str, images: Iterable[Planned]) -> Unit:
    """Return the unit of a group of images, in an order that no runner changes."""
    return Unit(name.split("/")[0], tuple(sorted(images, key=lambda image: image.sha256)))
