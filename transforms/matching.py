"""Finding the image that a name means."""

import functools
import itertools
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from transforms.rejects import RejectCode
from transforms.sources import ImageRef, stem


def comparable(name: str) -> str:
    """Return a name in Unicode's composed form (NFC), without empty folders and `.`."""
    parts = unicodedata.normalize("NFC", name).split("/")
    return "/".join(part for part in parts if part not in ("", "."))


class Matcher:
    """Finds images by name, in dictionaries that are made once.

    A name means the image of that key; or else those whose paths end in the name, and the one
    with the longest key that the name ends in; or else those of the same file name; or else
    what these rules find when suffixes of images are left off.
    """

    def __init__(self, images: Iterable[ImageRef]) -> None:
        self._refs = list(images)
        self._exact: dict[str, list[ImageRef]] = defaultdict(list)
        for ref in self._refs:
            self._exact[ref.key].append(ref)

    @functools.cached_property
    def _named(self) -> "_Table":
        return _Table((comparable(ref.key), ref) for ref in self._refs)

    @functools.cached_property
    def _bare(self) -> "_Table":
        return _Table((_without_suffix(comparable(ref.key)), ref) for ref in self._refs)

    def find(self, name: str) -> Sequence[ImageRef]:
        """Return the images that a name alone may mean, by the closest rule that finds any."""
        plain = comparable(name)
        return (
            self._exact.get(name)
            or self._named.find(plain)
            or self._bare.find(_without_suffix(plain))
        )

    def match(self, names: Iterable[str]) -> dict[str, ImageRef | RejectCode]:
        """Return what each of several names means.

        Where the names of one image cannot all be its own, such as `beach/1.jpg` and
        `city/1.jpg`, those that have the most of its path, from the end, are.

        Returns:
            By name, the one image that it means, `IMAGE_MISSING` or `IMAGE_AMBIGUOUS`; whatever
            the order of images and names.
        """
        meant: dict[str, ImageRef | RejectCode] = {}
        rivals: dict[ImageRef, list[str]] = defaultdict(list)
        for name in dict.fromkeys(names):
            found = self.find(name)
            if len(found) == 1:
                rivals[found[0]].append(name)
            else:
                meant[name] = RejectCode.IMAGE_AMBIGUOUS if found else RejectCode.IMAGE_MISSING
        for ref, several in rivals.items():
            meant.update(_weigh(ref, several))
        return meant


class _Table:
    """Images by path, and by every end of it that begins at a folder or file."""

    def __init__(self, images: Iterable[tuple[str, ImageRef]]) -> None:
        self._paths: dict[str, list[ImageRef]] = defaultdict(list)
        self._ends: dict[str, list[ImageRef]] = defaultdict(list)
        for path, ref in images:
            self._paths[path].append(ref)
            for end in _ends(path):
                self._ends[end].append(ref)

    def find(self, name: str) -> Sequence[ImageRef]:
        if name in self._paths:
            return self._paths[name]
        longer = self._ends.get(name, [])
        shorter = next((self._paths[end] for end in _ends(name) if end in self._paths), [])
        if longer:
            # The name may as well be that of an image above, where the listed folder is so called.
            parts = _parts(name)
            return longer + [ref for ref in shorter if _common(parts, _path(ref)) == len(parts)]
        return shorter or self._ends.get(name.rsplit("/", 1)[-1], [])


def _weigh(ref: ImageRef, names: list[str]) -> dict[str, ImageRef | RejectCode]:
    """Say which of the names that find an image are its own.

    A name is that is wholly the end of the image's path, and the others that have the most of
    it, if each of them is the end of the next: nothing tells `x/1.jpg` from `y/1.jpg`.
    """
    if len(names) == 1:
        return {names[0]: ref}
    path = _path(ref)
    parts = {name: _parts(name) for name in names}
    common = {name: _common(parts[name], path) for name in names}
    most = max(common.values())
    others = [parts[name] for name in names if common[name] == most < len(parts[name])]
    longest = max(others, key=len, default=[])
    chain = all(longest[: len(each)] == each for each in others)

    def of(name: str) -> ImageRef | RejectCode:
        if common[name] == len(parts[name]):
            return ref
        if common[name] < most:
            return RejectCode.IMAGE_MISSING
        return ref if chain else RejectCode.IMAGE_AMBIGUOUS

    return {name: of(name) for name in names}


def _common(parts: list[str], path: list[str]) -> int:
    """Count the parts that a name shares with the end of a path."""
    alike = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(parts, path, strict=False))
    return sum(1 for _ in alike)


def _path(ref: ImageRef) -> list[str]:
    """Return the parts of an image's URI where that ends in its key, else those of the key."""
    head = ref.uri[: -len(ref.key)]
    ends = (head + ref.key).replace("#", "/") == ref.uri.replace("#", "/")
    if ends and head[-1:] in ("", "/", "#"):
        return _parts(head.replace("#", "/") + ref.key)
    return _parts(ref.key)


def _parts(name: str) -> list[str]:
    """Return the file name without its suffix, then its folders from the nearest on."""
    return _without_suffix(comparable(name)).split("/")[::-1]


def _without_suffix(name: str) -> str:
    return name[: name.rfind("/") + 1] + stem(name)


def _ends(path: str) -> Iterator[str]:
    """Yield a path, then without its first folder, and so on to the file name."""
    yield path
    for place, letter in enumerate(path):
        if letter == "/":
            yield path[place + 1 :]
