"""What lies beside a captions table, and when it is to be written again."""

import dataclasses
import json
from pathlib import Path

import pytest

from pipeline.captioning import exports
from pipeline.captioning.settings import Settings
from transforms.search import SearchOptions
from transforms.stored import Form


def settings(folder: Path) -> Settings:
    """Return settings that want a page and an export."""
    return Settings(
        images=("/photos",),
        output=str(folder),
        captioners=("/captioner",),
        captioner_digest="0",
        forms=(Form((8, 8)),),
        search=SearchOptions(),
        banned_words=(),
        required_words=(),
        details=(),
        exports=("coco",),
        page_images=3,
        unit_size=10,
        truncated="reject",
        batch_size=4,
        image_seconds=30.0,
    )


def test_exports_are_stale_when_they_are_not_what_was_written_or_is_wanted(tmp_path: Path) -> None:
    job = settings(tmp_path)
    assert exports.stale(job, {})
    written = exports.write(job, {"data": []})
    assert not exports.stale(job, written)
    for change in (
        {"page_images": 4},
        {"page_images": 0},
        {"exports": ()},
        {"exports": ("jsonl",)},
    ):
        assert exports.stale(dataclasses.replace(job, **change), written), change
    page = tmp_path / exports.PAGE
    content = page.read_bytes()
    for other in (content[:-1], bytes(reversed(content))):
        page.write_bytes(other)
        assert exports.stale(job, written)
    page.write_bytes(content)
    assert not exports.stale(job, written)
    page.unlink()
    assert exports.stale(job, written)


@pytest.mark.parametrize(
    ("key", "number"),
    [
        ("val2014/COCO_val2014_000000000139.jpg", 139),
        ("000000000139.jpg", 139),
        ("0.png", 0),
        ("a/dog 7.jpg", "dog 7"),
    ],
)
def test_results_have_the_numbers_that_coco_gave_its_images(key: str, number: int | str) -> None:
    assert exports.image_id(key) == number


def test_no_two_results_are_of_one_image_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = ["a/1.jpg", "b/001.png", "c/7.jpg", "cat.jpg", "d/cat.png", "cat.jpg.jpg", "dog.jpg"]
    rows = [{"key": key, "caption": f"of {key}"} for key in keys]
    monkeypatch.setattr(exports, "rows", lambda output, manifest: iter(rows))
    exports.write(dataclasses.replace(settings(tmp_path), page_images=0), {})
    results = json.loads((tmp_path / exports.NAMES["coco"]).read_text())
    assert [result["caption"] for result in results] == [f"of {key}" for key in keys]
    assert [result["image_id"] for result in results] == [*keys[:2], 7, *keys[3:6], "dog"]
