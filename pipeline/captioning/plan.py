"""Planning the captions of images: list, fingerprint, group into units."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam import pvalue

from pipeline.captioning.elements import Content, Unit
from pipeline.captioning.settings import Settings
from pipeline.common import fingerprints, units
from transforms.rejects import Reject
from transforms.sources import ImageRef, list_images


@dataclasses.dataclass(frozen=True)
class Plan:
    """The collections of a planned job.

    Attributes:
        units: `Unit`s of work.
        rejects: `Reject`s of images that cannot be read.
        listed: one number, the images found.
    """

    units: beam.PCollection
    rejects: beam.PCollection
    listed: beam.PCollection


def plan(pipeline: beam.Pipeline, settings: Settings) -> Plan:
    """Add the planning to a pipeline."""
    images = (
        pipeline | "Images" >> beam.Create([settings.images]) | "List" >> beam.FlatMap(list_images)
    )
    known = (
        images
        # The listing is one element's work; the reading that follows is not.
        | "Spread" >> beam.Reshuffle()
        | "Fingerprint" >> beam.FlatMap(add_fingerprint).with_outputs("rejects", main="known")
    )
    contents = (
        known.known | "ByContent" >> beam.GroupByKey() | "Content" >> beam.MapTuple(make_content)
    )
    total = contents | "CountContents" >> beam.combiners.Count.Globally()
    grouped = (
        contents
        | "Bucket" >> beam.Map(bucketed, settings.unit_size, pvalue.AsSingleton(total))
        | "ByUnit" >> beam.GroupByKey()
        | "Unit" >> beam.MapTuple(make_unit)
    )
    return Plan(
        units=grouped,
        rejects=known.rejects,
        listed=images | "CountListed" >> beam.combiners.Count.Globally(),
    )


def add_fingerprint(ref: ImageRef) -> Iterator[Any]:
    """Yield (sha256, reference); an image that cannot be read goes to `rejects`."""
    result = fingerprints.fingerprint(ref)
    if isinstance(result, Reject):
        yield pvalue.TaggedOutput("rejects", result)
    else:
        yield result, ref


def make_content(sha256: str, refs: Iterable[ImageRef]) -> Content:
    """Return the content that several names share."""
    return Content(sha256, tuple(sorted(refs)))


def bucketed(content: Content, unit_size: int, total: int) -> tuple[int, Content]:
    """Return a content with the number of its unit."""
    return units.bucket(content.sha256, total, unit_size), content


def make_unit(_: int, contents: Iterable[Content]) -> Unit:
    """Return the unit of a group of contents, in an order that no runner changes."""
    return Unit(tuple(sorted(contents, key=lambda content: content.sha256)))
