"""Bringing images and their captions together by name."""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable

from transforms import splits
from transforms.annotations import Annotation
from transforms.matching import Matcher
from transforms.rejects import Reject, RejectCode
from transforms.sources import ImageRef, same_key


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
    refused: Iterable[Reject] = (),
) -> tuple[list[Captioned], list[Lost]]:
    """Join what shares a stem: the file name without folders and suffix.

    Annotations and lists name images as `Matcher.match` finds them; a name that finds none, or
    not one for certain, names nothing. So no caption can name one of several images of one key;
    where none is needed, the first of them is kept.

    Args:
        images: the images of one stem.
        annotations: their captions, each with its place in the order of the caption files.
        listed: their lines of list files.
        lists_given: whether there are list files, so that an image must be in one.
        uncaptioned: whether images need no captions.
        refused: images of the stem that the listing refuses; captions that name none of the others
            may be theirs, and fall with them.

    Returns:
        The images that have what captions and split they need, and all that was lost.
    """
    refs, listed = sorted(images), list(listed)
    ordered = [annotation for _, annotation in sorted(annotations, key=lambda pair: pair[0])]
    matcher = Matcher(refs)
    captions: dict[ImageRef, list[str]] = defaultdict(list)
    hints: dict[ImageRef, set[str]] = defaultdict(set)
    on_lists: dict[ImageRef, set[str]] = defaultdict(set)
    unmatched: dict[tuple[str, RejectCode], list[Annotation]] = defaultdict(list)
    meant = matcher.match(annotation.name for annotation in ordered)
    for annotation in ordered:
        found = meant[annotation.name]
        if isinstance(found, RejectCode):
            unmatched[annotation.name, found].append(annotation)
            continue
        captions[found].extend(annotation.captions)
        if annotation.split:
            hints[found].add(annotation.split)
    gone = sorted({name for name, code in unmatched if code is RejectCode.IMAGE_MISSING})
    # Numbered, as several members of an archive may have one name.
    of_refused = {
        ImageRef(each.key, each.uri, number, 0.0): each
        for number, each in enumerate(sorted(refused))
    }
    fallen = dict.fromkeys(of_refused, 0)
    for name, found in Matcher(of_refused).match(gone).items():
        if isinstance(found, ImageRef):
            group = unmatched.pop((name, RejectCode.IMAGE_MISSING))
            fallen[found] += sum(len(annotation.captions) for annotation in group)
    meant = matcher.match(entry.name for entry in listed)
    for entry in listed:
        found = meant[entry.name]
        if isinstance(found, ImageRef):
            on_lists[found].add(entry.split)

    lost = [
        _unmatched_reject(name, code, group) for (name, code), group in sorted(unmatched.items())
    ]
    lost += [Lost(each, 1, fallen[ref]) for ref, each in of_refused.items()]
    keyed: dict[str, list[ImageRef]] = defaultdict(list)
    for ref in refs:
        keyed[ref.key].append(ref)
    kept = []
    for ref in refs:
        mine = tuple(captions[ref])
        others = [other for other in keyed[ref.key] if other is not ref]
        if others and not (uncaptioned and ref < others[0]):
            lost.append(Lost(same_key(ref, others[0]), 1, len(mine)))
        elif not mine and not uncaptioned:
            reject = Reject(
                ref.key, ref.uri, "join", RejectCode.CAPTION_MISSING, "no caption names this image"
            )
            lost.append(Lost(reject, 1, 0))
        elif lists_given and not on_lists[ref]:
            reason = "no list names it, or only by a name that could be another image's"
            reject = Reject(ref.key, ref.uri, "split", RejectCode.SPLIT_MISSING, reason)
            lost.append(Lost(reject, 1, len(mine)))
        else:
            named = on_lists[ref] if lists_given else hints[ref]
            split = splits.most_held_out(named) if named else None
            kept.append(Captioned(ref, mine, split))
    return kept, lost


def _unmatched_reject(name: str, code: RejectCode, group: list[Annotation]) -> Lost:
    count = sum(len(annotation.captions) for annotation in group)
    reason = (
        "its captions name an image that is not there, or was refused with its archive"
        if code is RejectCode.IMAGE_MISSING
        else "its captions could be of several images; name one by its path"
    )
    reject = Reject(name, group[0].source, "join", code, f"{reason} ({count} captions)")
    return Lost(reject, 0, count)
