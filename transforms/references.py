"""Giving each caption that is judged its references, and counting what was left out."""

import dataclasses
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from transforms import joining
from transforms.annotations import Annotation
from transforms.candidates import Candidate
from transforms.sources import ImageRef, stem

EXAMPLES = 5
_NUMBER = re.compile(r"(?:^|_(?=[0-9]{12}$))([0-9]+)$")  # 00139, COCO_val2014_000000000139


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
    """Finds the captions that a name may mean, as images and annotations are joined.

    A name is a key, the end of its path, a file name, or a file name without its suffix. Where
    the key is a number, as in COCO results, it is also a file name that is or ends in the number.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        self._by_stem: dict[str, list[ImageRef]] = defaultdict(list)
        self._by_number: dict[int, list[str]] = defaultdict(list)
        for key in keys:
            self._by_stem[stem(key)].append(ImageRef(key, key, 0, 0))
            if key.isdecimal():
                self._by_number[int(key)].append(key)

    def find(self, name: str) -> list[str]:
        """Return the keys that the name may mean: none, one, or several."""
        refs = joining.candidates(name, self._by_stem.get(stem(name), []))
        if refs:
            return [ref.key for ref in refs]
        number = _NUMBER.search(stem(name))
        return self._by_number.get(int(number[1]), []) if number else []


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
    keys: list[str] = [candidate.key for candidate in candidates]
    if only is not None:
        names = Names(keys)
        wanted = set()
        for name in only:
            found = names.find(name)
            wanted.update(found)
            if not found:
                left_out["listed_without_caption"][name] = None
        left_out["captions_not_listed"] = dict.fromkeys(key for key in keys if key not in wanted)
        keys = [key for key in keys if key in wanted]
    listed = None if only is None else Names(only)
    names = Names(keys)
    references: dict[str, list[str]] = {key: [] for key in keys}
    images: set[str] = set()
    for annotation in annotations:
        if split is not None and annotation.split != split:
            continue
        images.add(annotation.name)
        found = names.find(annotation.name)
        if len(found) == 1:
            references[found[0]].extend(annotation.captions)
        elif found:
            left_out["references_ambiguous"][annotation.name] = None
        elif listed is None or listed.find(annotation.name):
            left_out["references_without_caption"][annotation.name] = None
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
