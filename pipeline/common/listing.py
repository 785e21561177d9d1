"""The beginning of both Beam jobs: from `--images` to references of images."""

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam import pvalue

from pipeline.common.sums import summed
from transforms import sources
from transforms.files import decoded, encoded
from transforms.rejects import Reject
from transforms.sources import File


@dataclasses.dataclass(frozen=True)
class Listed:
    """What the sources hold; each image is in one of the two collections.

    Attributes:
        images: `ImageRef`s.
        rejects: `Reject`s of archives and members that are refused.
        count: the number of images and rejects.
    """

    images: beam.PCollection
    rejects: beam.PCollection
    count: pvalue.AsSingleton


def list_sources(pipeline: beam.Pipeline, specs: Sequence[str]) -> Listed:
    """Add the listing of `--images` to a pipeline; a file that is named twice is listed once."""
    keyed = zip(map(encoded, specs), map(encoded, sources.prefixes(specs)), strict=True)
    listed = (
        pipeline
        | "Sources" >> beam.Create(list(keyed))
        | "Find" >> beam.FlatMap(find)
        # Finding is one element's work; opening archives is spread.
        | "ByUri" >> beam.GroupByKey()
        | "Expand" >> beam.FlatMap(expand).with_outputs("rejects", "counts", main="images")
    )
    return Listed(listed.images, listed.rejects, listed.counts | "CountListed" >> summed())


def find(source: tuple[bytes, bytes]) -> Iterator[tuple[bytes, File]]:
    """Yield the files of a source, encoded with its prefix, by a digest of their URIs."""
    for file in sources.find(*map(decoded, source)):
        yield hashlib.sha256(encoded(file.uri)).digest(), file


def expand(named: tuple[bytes, Iterable[File]]) -> Iterator[Any]:
    """Yield the images that a file is or holds; the refused ones go to `rejects`.

    How many both are goes to `counts`: to count the collections, the local runner would hold a
    copy of them.
    """
    # A source that takes the file, as a glob does, counts before one that refuses it.
    file = min(named[1], key=lambda file: (file.key, file.size, file.refusal is not None))
    count = 0
    for item in sources.expand(file):
        count += 1
        yield pvalue.TaggedOutput("rejects", item) if isinstance(item, Reject) else item
    yield pvalue.TaggedOutput("counts", count)
