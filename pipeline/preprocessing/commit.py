"""Committing a data set: balance the books, then write the manifest last."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from pipeline.common import run_report, tables
from pipeline.common.books import Books, none_left
from pipeline.common.locks import Hold
from pipeline.common.sweep import sweep
from pipeline.common.units import UnitReport
from pipeline.preprocessing.elements import Copied
from pipeline.preprocessing.encode import input_size, load_encoder
from pipeline.preprocessing.plan import NO_TRAIN
from pipeline.preprocessing.settings import Settings
from transforms import dataset, files, manifests, stored, text
from transforms.errors import UsageError
from transforms.joining import Lost
from transforms.rejects import Reject, RejectCode
from transforms.splits import SPLITS

# Those of a run that failed on a finished data set, whose manifest names the others.
FAILED = "rejects.failed.parquet"
DUPLICATES_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("uri", pa.string()),
        ("sha256", pa.string()),
        ("split", pa.string()),
        ("original_key", pa.string()),
        ("original_split", pa.string()),
    ]
)


def commit(
    _: None,
    settings: Settings,
    hold: Hold,
    vocabulary: text.Vocabulary,
    reports: Iterable[UnitReport],
    lost: Iterable[Lost],
    copies: Iterable[Copied],
    listed: int,
    captions_read: int,
) -> None:
    """Write what belongs to the whole data set, the manifest last, and sweep what does not.

    A data set that is there already stays as it is until everything has been checked.

    Raises:
        UsageError: nothing is left to write.
        JobError: likewise, and another run may get an image; or the books do not balance; or
            another run has taken the output over.
    """
    hold.check()
    reports = sorted(reports, key=lambda report: report.file)
    lost, copies = list(lost), sorted(copies, key=lambda copy: copy.ref)
    rejects = [item.reject for item in lost] + [r for report in reports for r in report.rejects]
    output = settings.output
    manifest = files.join(output, dataset.MANIFEST)
    replaces = files.exists(manifest)
    refused = files.join(output, FAILED if replaces else tables.REJECTS)
    rejected = tables.write_rejects(refused, rejects)
    books = balance(reports, lost, copies, listed, captions_read)
    if not books.images["done"]:
        raise none_left(listed, rejects, refused)
    if not any(report.group == "train" and report.images for report in reports):
        raise UsageError(NO_TRAIN)
    data = {report.file: report.facts for report in reports if report.file}
    content = {
        "format": dataset.FORMAT,
        "version": 1,
        "configuration": settings.configuration(),
        "encoder": _describe_encoder(settings),
        "text": {
            "tokenizer": settings.tokenizer,
            "max_length": settings.max_length,
            "min_count": settings.min_count,
            "max_words": settings.max_words,
            "size": len(vocabulary),
            "digest": vocabulary.digest,
        },
        "splits": {split: _split(split, reports) for split in SPLITS},
        **_pictures(settings, reports),
    }
    hold.check()
    # From here on to its manifest, a data set that was there is not whole.
    if replaces:
        rejected = tables.write_rejects(files.join(output, tables.REJECTS), rejects)
    written = {
        tables.REJECTS: rejected,
        dataset.DUPLICATES: tables.write(
            files.join(output, dataset.DUPLICATES), DUPLICATES_SCHEMA, map(_copy_row, copies)
        ),
        dataset.VOCABULARY: files.write_bytes(
            files.join(output, dataset.VOCABULARY), vocabulary.to_text().encode()
        ),
    }
    files.write_json(
        manifest,
        {
            **content,
            "files": dict(sorted({**data, **written}.items())),
            "books": books.as_json(),
            "software": manifests.software(),
        },
    )
    if replaces:
        files.delete(refused)
    run_report.record(output, books, rejects, **_malformed(rejects))
    sweep(hold, ["data"], set(data))


def balance(
    reports: list[UnitReport],
    lost: list[Lost],
    copies: list[Copied],
    listed: int,
    captions_read: int,
) -> Books:
    """Return the job's books; raises JobError if they do not balance."""
    books = Books(
        images={
            "listed": listed,
            "done": sum(report.images for report in reports),
            "rejected": sum(item.images for item in lost)
            + sum(report.rejected for report in reports),
            "duplicates": len(copies),
        },
        captions={
            "listed": captions_read,
            "done": sum(report.captions for report in reports),
            "rejected": sum(item.captions for item in lost)
            + sum(report.lost for report in reports),
            "duplicates": sum(copy.captions for copy in copies),
        },
        # Those that a list names are listed, and among the rejected.
        missing=sum(
            item.reject.code is RejectCode.IMAGE_MISSING and not item.images for item in lost
        ),
    )
    books.check()
    return books


def _malformed(rejects: Iterable[Reject]) -> dict[str, str]:
    """Return one of the malformed rows of caption files, for the commonest fault, if there are."""
    rows = sorted(r for r in rejects if r.code is RejectCode.CAPTION_MALFORMED)
    faults = Counter(row.message for row in rows)
    row = max(rows, key=lambda row: faults[row.message], default=None)
    return {"malformed": f"{row.uri}: {row.message}"} if row else {}


def _copy_row(copy: Copied) -> dict[str, Any]:
    return {
        "key": copy.ref.key,
        "uri": copy.ref.uri,
        "sha256": copy.sha256,
        "split": copy.split,
        "original_key": copy.original,
        "original_split": copy.original_split,
    }


def _describe_encoder(settings: Settings) -> dict[str, Any]:
    encoder = load_encoder(settings)
    if encoder is None:
        side = settings.image_size
        return {"name": "none", "input_size": [side, side]}
    return {**encoder.describe(), "dtype": settings.dtype}


def _pictures(settings: Settings, reports: Iterable[UnitReport]) -> dict[str, Any]:
    """Say what the images of train were stored as, where captioners have to know."""
    sample = [each for report in reports if report.group == "train" for each in report.stored]
    return stored.described(settings.like or stored.typical(sample, input_size(settings)))


def _split(split: str, reports: list[UnitReport]) -> dict[str, Any]:
    mine = [report for report in reports if report.group == split and report.file]
    records = sum(report.facts["records"] for report in mine)
    images = sum(report.images for report in mine)
    return {
        "images": images,
        # Views of an image are records of their own, with the image's captions.
        **({"records": records} if records != images else {}),
        "captions": sum(report.captions for report in mine),
        "files": [report.file for report in mine],
    }
