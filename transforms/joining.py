"""Bringing images and their captions together by name."""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Sequence

from transforms import splits
from transforms.annotations import Annotation
from transforms.rejects import Reject, RejectCode
from transforms.sources import ImageRef, stem


@dataclasses.dataclass(frozen=True)
class Captioned:
    """An image with its captions, and the split that its annotations or lists name, if any."""

    ref: ImageRef
    captions: tuple[str, ...]
    split: str | None


@dataclasses.dataclass(frozen=True)
class Lost:
    """A reject, with the number of listed images and of captions that fell with it."""

    reject: Reject
    images: int
    captions: int


@dataclasses.dataclass(frozen=True)
class Listed:
    """A line of a list file: an image's name and the split that the file stands for."""

    name: str
    split: str


def join(
    images: Iterable[ImageRef],
    annotations: Iterable[tuple[int, Annotation]],
    listed: Iterable[Listed],
    lists_given: bool,
    uncaptioned: bool = False,
) -> tuple[list[Captioned], list[Lost]]:
    """Join what shares a stem: the file name without folders and suffix.

    An annotation or a list names an image by its key, by the end of its path, by its file name,
    or by its file name without a suffix; the closest of these that names any image counts.

    Args:
        images: the images of one stem.
        annotations: their captions, each with its place in the order of the caption files.
        listed: their lines of list files.
        lists_given: whether there are list files, so that an image must be in one.
        uncaptioned: whether images need no captions.

    Returns:
        The images that have what captions and split they need, and all that was lost.
    """
    refs = sorted(images)
    captions: dict[ImageRef, list[str]] = defaultdict(list)
    hints: dict[ImageRef, set[str]] = defaultdict(set)
    on_lists: dict[ImageRef, set[str]] = defaultdict(set)
    unmatched: dict[tuple[str, str], list[Annotation]] = defaultdict(list)
    for _, annotation in sorted(annotations, key=lambda pair: pair[0]):
        found = candidates(annotation.name, refs)
        if len(found) == 1:
            captions[found[0]].extend(annotation.captions)
            if annotation.split:
                hints[found[0]].add(annotation.split)
        else:
            code = RejectCode.IMAGE_AMBIGUOUS if found else RejectCode.IMAGE_MISSING
            unmatched[annotation.name, code].append(annotation)
    for entry in listed:
        for ref in candidates(entry.name, refs):
            on_lists[ref].add(entry.split)

    lost = [
        _unmatched_reject(name, RejectCode(code), group)
        for (name, code), group in sorted(unmatched.items())
    ]
    kept = []
    for ref in refs:
        mine = tuple(captions[ref])
        if not mine and not uncaptioned:
            reject = Reject(
                ref.key, ref.uri, "join", RejectCode.CAPTION_MISSING, "no caption names this image"
            )
            lost.append(Lost(reject, 1, 0))
        elif lists_given and not on_lists[ref]:
            reject = Reject(
                ref.key, ref.uri, "split", RejectCode.SPLIT_MISSING, "it is in none of the lists"
            )
            lost.append(Lost(reject, 1, len(mine)))
        else:
            named = on_lists[ref] if lists_given else hints[ref]
            split = splits.most_held_out(named) if named else None
            kept.append(Captioned(ref, mine, split))
    return kept, lost


def candidates(name: str, refs: Sequence[ImageRef]) -> list[ImageRef]:
    """Return the images that a name may mean, by the closest rule that finds any."""
    base = name.rsplit("/", 1)[-1]
    rules = (
        lambda key: key == name,
        lambda key: key.endswith("/" + name) or name.endswith("/" + key),
        lambda key: key.rsplit("/", 1)[-1] == base,
        lambda key: stem(key) == stem(base),
    )
    for rule in rules:
        found = [ref for ref in refs if rule(ref.key)]
        if found:
            return found
    return []


def _unmatched_reject(name: str, code: RejectCode, group: list[Annotation]) -> Lost:
    count = sum(len(annotation.captions) for annotation in group)
    reason = (
        "its captions name an image that is not there"
        if code is RejectCode.IMAGE_MISSING
        else "its captions name several images; name one by its path"
    )
    reject = Reject(name, group[0].source, "join", code, f"{reason} ({count} captions)")
    return Lost(reject, 0, count)
