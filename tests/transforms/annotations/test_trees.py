"""COCO and Karpathy files."""

import json
from typing import Any

import pytest

from tests.transforms.annotations.files import bad, good, rows
from transforms.errors import UsageError

COCO: dict[str, Any] = {
    "images": [{"id": 2, "file_name": "b.jpg"}, {"id": 1, "file_name": "a.jpg"}, {"id": 3}],
    "annotations": [
        {"id": 10, "image_id": 1, "caption": "A dog"},
        {"id": 11, "image_id": 2, "caption": "A cat"},
        {"id": 12, "image_id": 1, "caption": "A pet"},
    ],
}


def test_coco_brings_an_image_s_captions_together() -> None:
    assert good(json.dumps(COCO), "coco") == [
        ("b.jpg", ["A cat"], None),
        ("a.jpg", ["A dog", "A pet"], None),
    ]


def test_coco_s_bad_rows_go_by_their_id() -> None:
    rows = [
        *COCO["annotations"],
        {"id": 13, "image_id": 9, "caption": "Nobody's"},
        {"id": 14, "image_id": 2},
        {"id": 15, "image_id": None, "caption": "Nowhere"},
        {"id": 16, "image_id": 3, "caption": "Nameless"},
        "junk",
    ]
    tree = {"images": [*COCO["images"], {"file_name": "d.jpg"}], "annotations": rows}
    assert sorted(bad(json.dumps(tree), "coco")) == [
        ("c#13", "caption_malformed: no image has the id 9"),
        ("c#14", "caption_malformed: an annotation without a caption"),
        ("c#15", "caption_malformed: an annotation without an image_id"),
        ("c#3", "caption_malformed: the image's name is missing"),
        ("c#7", "caption_malformed: an annotation without a caption"),
        ("c#images/3", "caption_malformed: an image without an id"),
    ]


def test_karpathy_s_splits_and_names() -> None:
    def image(name: str, split: str, **more: object) -> dict[str, object]:
        return {
            "filename": name,
            "split": split,
            "sentences": [{"raw": name, "tokens": []}],
            **more,
        }

    images = [
        image("a.jpg", "train"),
        image("b.jpg", "restval", filepath="val2014"),
        image("c.jpg", "val", filepath=""),
        image("d.jpg", "test", imgid=3, filepath="x\\y"),
    ]
    assert [
        (name, split) for name, _, split in good(json.dumps({"images": images}), "karpathy")
    ] == [
        ("a.jpg", "train"),
        ("val2014/b.jpg", "train"),
        ("c.jpg", "dev"),
        ("x/y/d.jpg", "test"),
    ]


def test_karpathy_s_bad_images_go_by_their_number() -> None:
    images = [
        {"filename": "a.jpg", "sentences": [{"raw": "A"}], "split": "extra"},
        {"filename": "b.jpg", "imgid": 77, "sentences": []},
        {"sentences": [{"raw": "A"}]},
        None,
        {"filename": "e.jpg", "sentences": [{"words": "A"}]},
    ]
    assert [place for place, _ in bad(json.dumps({"images": images}), "karpathy")] == [
        *("c#0", "c#77", "c#2", "c#3", "c#4")
    ]


@pytest.mark.parametrize("format", ["coco", "karpathy"])
@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        "{",
        "null",
        '{"images": 5}',
        '{"images": []}',
        '{"images": [{"id": 1}], "annotations": [{"image_id": 1, "bbox": []}]}',
        "[" * 100_000,
        "1" * 5_000,
        b"\xff\xfe\xfd",
    ],
)
def test_other_files_are_refused_with_what_was_expected(format: str, content: bytes | str) -> None:
    with pytest.raises(UsageError) as caught:
        rows(content, format, "dir/f.json")
    assert str(caught.value).startswith(f"dir/f.json: not a usable {format} caption file: ")
    assert 'expected an object with "images"' in str(caught.value)
    assert "\n" not in str(caught.value)
