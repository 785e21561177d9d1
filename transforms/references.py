"""Giving each caption that is judged its references, and counting what was left out."""

import dataclasses
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from transforms.annotations import Annotation
from transforms.candidates import Candidate
from transforms.matching import Matcher
from transforms.rejects import RejectCode
from transforms.sources import ImageRef, stem

EXAMPLES = 5
_NUMBER = re.compile(r"(?:^|_(?=[0-9]{12}$))([0-9]+)$")  # 00139, COCO_val2014_000000000139

_LISTED = {
    RejectCode.IMAGE_MISSING: "listed_without_caption",
    RejectCode.IMAGE_AMBIGUOUS: "listed_ambiguous",
}
_REFERENCES = {
    RejectCode.IMAGE_MISSING: "references_without_caption",
    RejectCode.IMAGE_AMBIGUOUS: "references_ambiguous",
}


@dataclasses.dataclass(frozen=True)
class Joined:
    """Captions with their references.

    Attributes:
        references: by candidate key, in the order of the candidates.
        counts: what was used and what was left out, by name.
        examples: for each kind that was left out, some of its names.
    """

    references: dict[str, list[str]]
    counts: dict[str, int]
    examples: dict[str, list[str]]


class Names:
    """Finds the captions that names mean, as images and annotations are joined.

    Where a key is a number, as in COCO results, a file name that is or ends in the number means
    it too.
    """

    def __init__(self, candidates: Iterable[Candidate]) -> None:
        refs = [ImageRef(each.key, each.uri or each.key, 0, 0.0) for each in candidates]
        self._matcher = Matcher(refs)
        self._numbers = {int(ref.key): ref.key for ref in refs if ref.key.isdecimal()}

    def find(self, name: str) -> Sequence[ImageRef]:
        """Return the captions that a name alone may mean, as references to their images."""
        return self._matcher.find(self._spelled(name))

    def match(self, names: Iterable[str]) -> dict[str, ImageRef | RejectCode]:
        """Return what each of several names means, as `Matcher.match` does."""
        spelled = {name: self._spelled(name) for name in names}
        meant = self._matcher.match(spelled.values())
        return {name: meant[spelling] for name, spelling in spelled.items()}

    def _spelled(self, name: str) -> str:
        """Return a name with its number as the keys have it, if only the number finds one."""
        if not self._numbers or self._matcher.find(name):
            return name
        digits = number(name)
        key = None if digits is None else self._numbers.get(digits)
        return name if key is None else name[: name.rfind("/") + 1] + key


def number(name: str) -> int | None:
    """Return the number that a file name is or, in COCO's form, ends in."""
    found = _NUMBER.search(stem(name))
    return int(found[1]) if found else None


def join(
    candidates: Sequence[Candidate],
    annotations: Iterable[Annotation],
    *,
    only: Collection[str] | None = None,
    split: str | None = None,
) -> Joined:
    """Give each caption its references.

    Args:
        candidates: one caption an image.
        annotations: the references, in the order of their file.
        only: names of the images to evaluate; None for all.
        split: the split that references must belong to; None for any.
    """
    left_out: dict[str, dict[str, None]] = defaultdict(dict)  # Ordered sets.
    keys = [candidate.key for candidate in candidates]
    names = Names(candidates)
    listed = None
    if only is not None:
        listed = Names(Candidate(name, "") for name in only)
        wanted = set()
        for name, found in names.match(only).items():
            if isinstance(found, ImageRef):
                wanted.add(found.key)
            else:
                left_out[_LISTED[found]][name] = None
        left_out["captions_not_listed"] = dict.fromkeys(key for key in keys if key not in wanted)
        keys = [key for key in keys if key in wanted]
    references: dict[str, list[str]] = {key: [] for key in keys}
    images: set[str] = set()
    annotations = list(annotations)
    # Of other splits too, and for captions that are not listed: a name of those is no other's.
    meant = names.match(annotation.name for annotation in annotations)
    for annotation in annotations:
        if split is not None and annotation.split != split:
            continue
        images.add(annotation.name)
        found = meant[annotation.name]
        if isinstance(found, ImageRef):
            if found.key in references:
                references[found.key].extend(annotation.captions)
        elif listed is None or listed.find(annotation.name):
            left_out[_REFERENCES[found]][annotation.name] = None
    left_out["captions_without_references"] = {
        key: None for key, captions in references.items() if not captions
    }
    references = {key: captions for key, captions in references.items() if captions}
    counts = {
        "captions": len(candidates),
        "images_with_references": len(images),
        "evaluated": len(references),
        "references": sum(map(len, references.values())),
    }
    left_out = {kind: names_ for kind, names_ in left_out.items() if names_}
    return Joined(
        references,
        counts | {kind: len(left_out[kind]) for kind in sorted(left_out)},
        {kind: list(left_out[kind])[:EXAMPLES] for kind in sorted(left_out)},
    )
