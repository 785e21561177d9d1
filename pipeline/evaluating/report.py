"""Writing an evaluation's report: its manifest, its table of images and its page."""

import dataclasses
import hashlib
import json
import random
from collections import defaultdict
from collections.abc import Collection
from importlib import metadata
from typing import Any

from transforms import (
    candidates,
    captions_table,
    dataset,
    files,
    manifests,
    references,
    sources,
    text,
)
from transforms.candidates import Candidate
from transforms.matching import Matcher
from transforms.metrics import Result
from transforms.pages import Card, Metric, Report, report, thumbnail
from transforms.sources import ImageRef

MANIFEST, PAGE, IMAGES = "report.json", "report.html", "images.jsonl"
CARDS = 12

# What was left out, by the name of its count in the manifest.
LEFT_OUT = {
    "captions_without_references": "captions without references",
    "references_without_caption": "images with references, but without a caption",
    "references_ambiguous": "names of references that mean several captions",
    "captions_not_listed": "captions of images that --keys does not list",
    "listed_without_caption": "names in --keys without a caption",
    "listed_ambiguous": "names in --keys that mean several captions",
    "references_malformed": "rows of references that cannot be read",
}


@dataclasses.dataclass(frozen=True)
class Work:
    """All that is scored.

    Attributes:
        judged: every caption that was given.
        chosen: the captions to evaluate, each with references.
        joined: their references, and what was left out.
        tokenizer: how words are found.
        notes: what a reader must know of the inputs, a sentence each.
        configuration: the flags, resolved.
        inputs: what `digests` returned when they were read.
    """

    judged: list[Candidate]
    chosen: list[Candidate]
    joined: references.Joined
    tokenizer: str
    notes: list[str]
    configuration: dict[str, str | None]
    inputs: dict[str, str]


def write(
    output: str, work: Work, result: Result, constant: str, floor: Result, images: str | None
) -> None:
    """Write the report, its manifest last.

    Args:
        output: folder or bucket path.
        work: what was scored.
        result: the captions' scores.
        constant: the constant caption that is the floor.
        floor: its scores.
        images: folder of the images, where the captions do not say where they are, or they are
            not there.
    """
    # Without its manifest, what stands there until the end is no report.
    files.delete(files.join(output, MANIFEST))
    lines = [
        {
            "key": candidate.key,
            "cider": result.cider[candidate.key],
            "caption": candidate.caption,
            "references": work.joined.references[candidate.key],
        }
        for candidate in work.chosen
    ]
    rows = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    software = _software()
    page = report(
        Report(
            title="Evaluation of captions",
            facts=_facts(work),
            metrics=[
                Metric(name, result.scores[name], floor.scores[name]) for name in result.scores
            ],
            floor_caption=constant,
            notes=[*work.notes, *result.notes, *left_out(work)],
            cider=[result.cider[candidate.key] for candidate in work.chosen],
            sections=_sections(work, result, find_images(images, work.judged)),
            software=software,
            language=text.language(work.tokenizer),
        )
    )
    written = {
        name: files.write_bytes(files.join(output, name), content.encode("utf-8", "replace"))
        for name, content in ((IMAGES, rows), (PAGE, page))
    }
    manifest: dict[str, Any] = {
        "format": "beamcap.report",
        "version": 1,
        "configuration": work.configuration,
        "inputs": work.inputs,
        "metrics": result.scores,
        "floor": {"caption": constant, "metrics": floor.scores},
        "notes": [*work.notes, *result.notes],
        "counts": work.joined.counts,
        "left_out": work.joined.examples,
        "files": written,
        "software": software,
    }
    files.write_json(files.join(output, MANIFEST), manifest)


def left_out(work: Work) -> list[str]:
    """Return a line for each kind of name that found no partner."""
    joined, split = work.joined, work.configuration["split"]
    lines = []
    for kind, words in LEFT_OUT.items():
        if split and kind == "captions_without_references":
            words += f" in the split {split}"
        if count := joined.counts.get(kind):
            names = ", ".join(joined.examples[kind])
            more = ", …" if count > len(joined.examples[kind]) else ""
            lines.append(f"Left out: {words}: {count:,} ({names}{more}).")
    return lines


def _facts(work: Work) -> dict[str, str]:
    counts, flags = work.joined.counts, work.configuration
    return {
        "Images": f"{counts['evaluated']:,}",
        "References": f"{counts['references']:,}",
        "Tokenizer": work.tokenizer,
        "Captions": str(flags["captions"]),
        "References from": str(flags["references"] or flags["dataset"]),
    } | {name.capitalize(): str(flags[name]) for name in ("split", "keys") if flags[name]}


def _sections(work: Work, result: Result, uris: dict[str, str]) -> dict[str, list[Card]]:
    """Choose the images that the page shows: the best, the worst, and some by chance."""
    ranked = sorted(work.chosen, key=lambda each: (-result.cider[each.key], each.key))
    if len(ranked) <= 3 * CARDS:
        groups = {"Every image, the best first": ranked}
    else:
        middle = ranked[CARDS:-CARDS]
        groups = {
            "The best": ranked[:CARDS],
            "The worst": ranked[: -CARDS - 1 : -1],
            "Others, drawn by chance": random.Random(0).sample(middle, CARDS),
        }
    shown = {each.key: each for group in groups.values() for each in group}
    pictures = _pictures(shown.values(), uris)
    return {
        heading: [
            Card(
                key=each.key,
                caption=each.caption,
                image=pictures.get(each.key),
                score=each.score,
                cider=result.cider[each.key],
                references=tuple(work.joined.references[each.key]),
            )
            for each in group
        ]
        for heading, group in groups.items()
    }


def find_images(folder: str | None, judged: list[Candidate]) -> dict[str, str]:
    """Find the images of the captions in a folder, where they can be told from each other.

    A key that is a number, as in COCO results, may be the number of a file.
    """
    if not folder:
        return {}
    images = list(sources.list_images(folder))
    numbered = [
        dataclasses.replace(ref, key=str(number))
        for ref in images
        if (number := references.number(ref.key)) is not None
    ]
    keys = [candidate.key for candidate in judged]
    numbers = {key: str(int(key)) for key in keys if key.isdecimal()}
    found = Matcher(numbered).match(numbers.values())
    by_number = {key: found[spelled] for key, spelled in numbers.items()}
    by_name = Matcher(images).match(keys)
    return {
        key: ref.uri
        for meant in (by_number, by_name)
        for key, ref in meant.items()
        if isinstance(ref, ImageRef)
    }


def _pictures(shown: Collection[Candidate], uris: dict[str, str]) -> dict[str, str]:
    """Return small pictures by key: where the caption says, or else where the folder has one."""
    found: dict[str, str] = {}
    for places in ({each.key: each.uri for each in shown}, uris):
        wanted = defaultdict(list)
        for each in shown:
            if each.key not in found and (uri := places.get(each.key)):
                wanted[uri].append(each)
        for uri, data in sources.read_uris(wanted):
            for each in wanted[uri]:
                small = thumbnail(data, original=each.size)
                if small is not None:
                    found[each.key] = small
    return found


def _software() -> dict[str, str]:
    """Return the versions of what shapes scores and page."""
    names = ("python", "beamcap", "numpy", "pillow", "pyarrow")
    versions = manifests.software()
    return {name: versions[name] for name in names} | {
        "pycocoevalcap": metadata.version("pycocoevalcap")
    }


def digests(configuration: dict[str, str | None]) -> dict[str, str]:
    """Return the sha256 of each input file; of a directory, that of its manifest."""
    found = {}
    for name in ("captions", "references", "dataset", "keys"):
        path = configuration[name]
        if path is not None:
            if name == "captions" and candidates.is_table(path):
                path = files.join(path, captions_table.MANIFEST)
            elif name == "dataset":
                path = files.join(path, dataset.MANIFEST)
            found[name] = hashlib.sha256(files.read_bytes(path)).hexdigest()
    return found
