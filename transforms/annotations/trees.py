"""JSON files that are one value: COCO's captions and Karpathy's splits."""

import posixpath
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, BinaryIO

from transforms.annotations.annotation import (
    Annotation,
    FormatError,
    RowError,
    annotation,
    parse_json,
    reject,
)
from transforms.rejects import Reject


def read_coco(file: BinaryIO, path: str) -> Iterator[Annotation | Reject]:
    """Yield one annotation an image of a COCO captions file, in the order of its images.

    Raises:
        FormatError: not such a file, or one without captions (instances, keypoints, test images).
    """
    tree = _tree(file)
    rows = tree.get("annotations")
    if not isinstance(rows, list) or not any(isinstance(r, dict) and "caption" in r for r in rows):
        raise FormatError("no annotation has a caption (instances and test files have none)")
    captions: dict[Any, list[Any]] = defaultdict(list)
    bad = []
    for position, row in enumerate(rows):
        source = f"{path}#{row.get('id', position) if isinstance(row, dict) else position}"
        if not isinstance(row, dict) or not isinstance(row.get("caption"), str):
            bad.append(reject("", source, "an annotation without a caption"))
        elif not isinstance(row.get("image_id"), int | str):
            bad.append(reject("", source, "an annotation without an image_id"))
        else:
            captions[row["image_id"]].append((source, row["caption"]))
    for position, image in enumerate(tree["images"]):
        number = image.get("id") if isinstance(image, dict) else None
        if not isinstance(number, int | str):
            yield reject("", f"{path}#images/{position}", "an image without an id")
        elif number in captions:
            source = f"{path}#{number}"
            texts = [caption for _, caption in captions.pop(number)]
            yield annotation(image.get("file_name"), texts, None, source)
    for number, left in captions.items():
        for source, _ in left:
            yield reject("", source, f"no image has the id {number!r}")
    yield from bad


def read_karpathy(file: BinaryIO, path: str) -> Iterator[Annotation | Reject]:
    """Yield one annotation an image of a Karpathy split file.

    Raises:
        FormatError: not such a file.
    """
    tree = _tree(file)
    if not any(isinstance(image, dict) and "sentences" in image for image in tree["images"]):
        raise FormatError("no image has sentences")
    for position, image in enumerate(tree["images"]):
        if not isinstance(image, dict):
            yield reject("", f"{path}#{position}", "not a JSON object")
            continue
        source = f"{path}#{image.get('imgid', position)}"
        name, folder = image.get("filename"), image.get("filepath")
        if isinstance(name, str) and isinstance(folder, str):
            name = posixpath.join(folder.replace("\\", "/"), name)
        yield annotation(name, image.get("sentences"), image.get("split"), source)


def _tree(file: BinaryIO) -> dict[str, Any]:
    """Parse a whole file into an object that has a list of images."""
    try:
        tree = parse_json(file.read())
    except RowError as error:
        raise FormatError(str(error)) from error
    if not isinstance(tree, dict) or not isinstance(tree.get("images"), list):
        raise FormatError('no object with a list of "images"')
    return tree
