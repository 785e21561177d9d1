"""The graph of the preprocessing job: plan, process, commit."""

from collections import Counter
from pathlib import Path

import apache_beam as beam
from apache_beam import pvalue

from pipeline.common import tables
from pipeline.common.locks import Hold
from pipeline.common.performance import Performance
from pipeline.preprocessing import commit
from pipeline.preprocessing.elements import Copied, Planned, Unit
from pipeline.preprocessing.encode import EncodeUnit
from pipeline.preprocessing.plan import plan
from pipeline.preprocessing.settings import Settings
from transforms import text
from transforms.joining import Lost
from transforms.splits import SPLITS


def build(
    pipeline: beam.Pipeline, settings: Settings, performance: Performance, hold: Hold
) -> None:
    """Add the whole job to a pipeline."""
    planned = plan(pipeline, settings, performance.readers)
    vocabulary = (
        planned.kept
        | "OfTrain" >> beam.Filter(lambda unit: unit.split == "train")
        | "Words" >> beam.FlatMap(words, settings.tokenizer)
        | "CountWords" >> beam.combiners.Count.PerElement()
        | "GatherWords" >> beam.combiners.ToList()
        | "Vocabulary" >> beam.Map(make_vocabulary, settings.min_count, settings.max_words)
    )
    reports = planned.units | "Encode" >> beam.ParDo(
        EncodeUnit(settings, performance),
        pvalue.AsSingleton(vocabulary),
        planned.total,
    )
    _ = (
        pipeline
        | "Once" >> beam.Create([None])
        | "Commit"
        >> beam.Map(
            commit.commit,
            settings,
            hold,
            pvalue.AsSingleton(vocabulary),
            pvalue.AsList(reports),
            pvalue.AsList(planned.lost),
            pvalue.AsList(planned.copies),
            planned.listed,
            planned.captions_read,
        )
    )


def words(image: Planned, tokenizer: str) -> list[str]:
    """Return the words of an image's captions."""
    return [word for caption in image.captions for word in text.tokenize(caption, tokenizer)]


def make_vocabulary(
    counts: list[tuple[str, int]], min_count: int, max_words: int
) -> text.Vocabulary:
    """Return the vocabulary of counted words, without any where there are no captions at all."""
    if not counts:
        return text.Vocabulary(text.RESERVED)
    return text.Vocabulary.from_counts(counts, min_count, max_words)


def build_dry_run(
    pipeline: beam.Pipeline, settings: Settings, performance: Performance, path: str
) -> None:
    """Add the plan alone, and write a summary of it for people to a local file."""
    planned = plan(pipeline, settings, performance.readers)
    _ = (
        pipeline
        | "Once" >> beam.Create([None])
        | "Summarise"
        >> beam.Map(
            summarise,
            path,
            settings,
            pvalue.AsList(planned.units),
            pvalue.AsList(planned.lost),
            pvalue.AsList(planned.copies),
        )
    )


def summarise(
    _: None,
    path: str,
    settings: Settings,
    planned: list[Unit],
    lost: list[Lost],
    copies: list[Copied],
) -> None:
    """Write what a run would do."""
    lines = [f"{field}: {value}" for field, value in settings.configuration().items()]
    lines.append(f"output: {settings.output}")
    for split in SPLITS:
        mine = [unit for unit in planned if unit.split == split]
        captions = sum(len(image.captions) for unit in mine for image in unit.images)
        images = sum(len(unit.images) for unit in mine)
        lines.append(f"{split}: {images:,} images, {captions:,} captions, {len(mine)} units")
    lines.append(f"duplicates: {len(copies):,}")
    for code, count in sorted(Counter(item.reject.code.value for item in lost).items()):
        lines.append(f"rejects, {code}: {count:,}")
    Path(path).write_text(tables.printable("\n".join(lines) + "\n"))
