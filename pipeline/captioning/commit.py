"""Committing a generation of a captions table: balance the books, then write the manifest last.

What a manifest names is never changed. A run that changes nothing makes no generation.
"""

from collections.abc import Iterable
from typing import Any

from pipeline.captioning import exports, parts
from pipeline.captioning.elements import Merged, Part, PartReport
from pipeline.captioning.settings import Settings
from pipeline.common import run_report, tables, units
from pipeline.common.books import Books, none_left
from pipeline.common.locks import Hold
from pipeline.common.performance import Performance
from pipeline.common.sweep import sweep
from pipeline.common.units import UnitReport
from transforms import captions_table, files, manifests
from transforms.rejects import Reject

FOLDERS = (*parts.FOLDERS, "rejects", "generations", units.JOURNAL)


def commit(
    _: None,
    settings: Settings,
    performance: Performance,
    hold: Hold,
    reports: Iterable[UnitReport],
    remade: Iterable[PartReport],
    merged: Iterable[Merged],
    unread: Iterable[Reject],
    listed: int,
) -> None:
    """Write what belongs to the whole table, the manifest last, and sweep what does not.

    Args:
        settings: of the job.
        performance: likewise.
        hold: that the run has the output for itself.
        reports: of the units.
        remade: parts that stay, whole or not, and those with copies of their rows.
        merged: parts that take the place of several of those, and of the units'.
        unread: rejects from outside the units.
        listed: images found.

    Raises:
        UsageError: no image could be captioned, in this run or before.
        JobError: likewise, and another run may get one; or the books do not balance; or another
            run has taken the output over.
    """
    hold.check()
    reports, remade, unread = list(reports), list(remade), list(unread)
    output = settings.output
    rejects = unread + [reject for report in reports for reject in report.rejects]
    books = Books(
        images={
            "listed": listed,
            "done": sum(r.images for r in reports) + sum(r.done + r.resumed for r in remade),
            "rejected": len(rejects),
            "duplicates": 0,
            "committed": sum(report.committed for report in remade),
        },
        captions={},
    )
    books.check()
    facts = tables.write_rejects(files.join(output, tables.REJECTS), rejects)
    made = table(reports, remade)
    for part in merged:
        made = {name: made[name] for name in made if name not in part.replaced}
        made[part.name] = part.part
    if not any(part.entry["rows"] for part in made.values()):
        raise none_left(listed, rejects, files.join(output, tables.REJECTS))
    name = f"rejects/{units.digest('rejects-1', facts['sha256'])}.parquet"
    tables.write_rejects(files.join(output, name), rejects)
    manifest = _manifest(settings, made, {name: facts}, books, rejects)
    changed = _changed(settings, manifest)
    if changed:
        manifest["exports"] = exports.write(settings, manifest)
        hold.check()
        for place in (settings.base + 1, None):
            path = files.join(output, captions_table.manifest_name(place))
            files.write_json(path, manifest)
    newest = settings.base + changed
    run_report.record(
        output,
        books,
        rejects,
        changed=changed,
        generation=newest,
        rows=manifest["rows"],
        rows_not_listed=sum(report.others for report in remade),
        resumed=sum(report.resumed for report in remade),
        performance=performance.as_json(),
    )
    sweep(hold, FOLDERS, _retained(settings, newest))


def table(reports: Iterable[UnitReport], remade: Iterable[PartReport]) -> dict[str, Part]:
    """Return the parts of a generation by name, before small ones are merged."""
    made = {report.name: report.part for report in remade}
    for report in reports:
        if facts := report.facts:
            made[facts["name"]] = Part(facts["entry"], facts["files"])
    return made


def _manifest(
    settings: Settings,
    table: dict[str, Part],
    rejected: dict[str, dict[str, Any]],
    books: Books,
    rejects: list[Reject],
) -> dict[str, Any]:
    named = {file: facts for part in table.values() for file, facts in part.files.items()}
    codes = sorted({reject.code.value for reject in rejects})
    return {
        "format": captions_table.FORMAT,
        "version": 1,
        "generation": settings.base + 1,
        "configuration": settings.configuration(),
        "rows": sum(part.entry["rows"] for part in table.values()),
        "data": sorted(part.entry["data"] for part in table.values() if part.entry["data"]),
        "rejects": next(iter(rejected)),
        "books": books.as_json(),
        "codes": {code: sum(reject.code.value == code for reject in rejects) for code in codes},
        "parts": {name: part.entry for name, part in sorted(table.items())},
        "files": dict(sorted({**named, **rejected}.items())),
        "software": manifests.software(),
    }


def _changed(settings: Settings, manifest: dict[str, Any]) -> bool:
    """Whether a generation is to be made: the table or what lies beside it is not as it was."""
    if not settings.base or settings.overwrite:
        return True
    before = captions_table.newest(settings.output)
    if before is None or before["generation"] != settings.base:
        # This step has run before.
        return True
    if any(before.get(field) != manifest[field] for field in ("parts", "files")):
        return True
    return exports.stale(settings, before["exports"])


def _retained(settings: Settings, newest: int) -> set[str]:
    """Return the files of the generations that stay, their manifests among them."""
    keep: set[str] = set()
    for generation in range(max(1, newest - settings.retain), newest + 1):
        name = captions_table.manifest_name(generation)
        # Of the newest, `captions.json` tells as well.
        if generation == newest or files.exists(files.join(settings.output, name)):
            keep |= {name, *parts.read_generation(settings.output, generation)["files"]}
    return keep
