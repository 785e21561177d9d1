"""The built-in sample: its captions are true, its pictures show them, its splits share nothing."""

import collections
import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

from transforms.errors import UsageError
from transforms.sample import CAPACITY, COUNT, Scene, captions, draw, jpeg, scene, splits, write
from transforms.sample.scenes import ARRANGEMENTS, COLOURS, PLACES
from transforms.sample.things import KINDS, PALETTE

GOLDEN = Path(__file__).parent / "captions.golden.txt"


def _scenes(arrangement: str, count: int) -> list[Scene]:
    first = ARRANGEMENTS.index(arrangement)
    return [scene(first + i * len(ARRANGEMENTS), seed=3) for i in range(count)]


def _where(picture: np.ndarray, colour: str) -> tuple[float, int]:
    """The middle column, and the number, of the pixels that have exactly a thing's colour."""
    columns = np.nonzero((picture == PALETTE[colour]).all(axis=-1))[1]
    return float(columns.mean()), columns.size


def _words(texts: list[str]) -> collections.Counter[str]:
    return collections.Counter(
        word for text in texts for word in re.findall("[a-z]+", text.lower())
    )


def test_contents_never_repeat_within_the_capacity() -> None:
    assert len({scene(index, seed=1).content for index in range(CAPACITY)}) == CAPACITY


def test_no_held_out_scene_is_one_of_train() -> None:
    parts = splits(COUNT)
    shown = {split: {scene(i).content for i in part} for split, part in parts.items()}
    assert {split: len(part) for split, part in shown.items()} == {
        "train": 800,
        "dev": 100,
        "test": 100,
    }
    assert not shown["train"] & (shown["dev"] | shown["test"])
    assert not shown["dev"] & shown["test"]
    for part in shown.values():
        assert {content.place for content in part} == set(PLACES)


def test_another_seed_gives_other_scenes_and_the_same_seed_the_same_bytes() -> None:
    assert scene(7, seed=1).content != scene(7, seed=2).content
    assert jpeg(scene(7, seed=1)) == jpeg(scene(7, seed=1))
    beyond = scene(7 + CAPACITY, seed=1)
    assert jpeg(beyond) != jpeg(scene(7, seed=1))


def test_captions_are_five_different_sentences() -> None:
    for index in range(600):
        texts = captions(scene(index))
        assert len(set(texts)) == 5
        for text in texts:
            assert re.fullmatch(r"[A-Z][a-z]*( [a-z]+)*\.", text), text
            assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", text, re.IGNORECASE), text


def test_captions_name_every_thing_with_its_colour_and_never_a_wrong_one() -> None:
    for index in range(600):
        one = scene(index)
        true = {(thing.colour, thing.kind) for thing in one.content.things}
        sizes = {"big": {"big", "large"}, "small": {"small", "little"}}
        for text in captions(one):
            told = re.findall(rf"({'|'.join(COLOURS)}) ({'|'.join(KINDS)})(?:e?s)?\b", text.lower())
            assert set(told) == true, text
            for thing in one.content.things:
                wrong = sizes["small" if thing.size == "big" else "big"]
                assert not re.search(rf"({'|'.join(wrong)}) {thing.colour} {thing.kind}", text)


def test_left_and_right_are_told_as_they_are() -> None:
    for one in _scenes("beside", 120):
        left, right = one.content.things
        for text in captions(one):
            if "left of" in text:
                assert text.index(left.kind) < text.index(right.kind)
            if "right of" in text:
                assert text.index(right.kind) < text.index(left.kind)


def test_things_are_drawn_where_captions_say() -> None:
    for one in _scenes("beside", 24):
        left, right = one.content.things
        picture = np.asarray(draw(one))
        assert _where(picture, left.colour)[0] < _where(picture, right.colour)[0]
    thirds = {"left": range(0, 100), "middle": range(86, 171), "right": range(157, 256)}
    for one in _scenes("alone", 24):
        middle, _ = _where(np.asarray(draw(one)), one.content.things[0].colour)
        assert round(middle) in thirds[one.content.position]


def test_big_things_are_drawn_bigger_than_small_ones() -> None:
    seen: dict[tuple[str, str], list[int]] = collections.defaultdict(list)
    for one in _scenes("alone", 180):
        thing = one.content.things[0]
        seen[thing.kind, thing.size].append(_where(np.asarray(draw(one)), thing.colour)[1])
    both = [kind for kind in KINDS if (kind, "big") in seen and (kind, "small") in seen]
    assert len(both) >= 8
    for kind in both:
        assert min(seen[kind, "big"]) > 2 * max(seen[kind, "small"]), kind


def test_pictures_are_colour_and_of_one_size() -> None:
    picture = draw(scene(0))
    assert (picture.mode, picture.size) == ("RGB", (256, 192))


def test_the_captions_are_those_of_the_golden_file() -> None:
    lines = [f"{scene(i).name}\t{text}" for i in range(30) for text in captions(scene(i))]
    assert lines == GOLDEN.read_text().splitlines()


def test_written_sample_is_in_the_flickr_format_and_rewriting_changes_nothing(
    tmp_path: Path,
) -> None:
    write(tmp_path, count=20, seed=5)
    write(tmp_path / "again", count=10, seed=5)
    write(tmp_path / "again", count=30, seed=6)
    write(tmp_path / "again", count=20, seed=5)
    files = sorted(p.relative_to(tmp_path) for p in (tmp_path / "images").iterdir())
    assert [str(path) for path in files] == [f"images/scene-{i:05d}.jpg" for i in range(20)]
    names = ["captions.token.txt", "train.txt", "dev.txt", "test.txt", *map(str, files)]
    for name in names:
        assert (tmp_path / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    assert sorted(p.name for p in (tmp_path / "again" / "images").iterdir()) == [
        path.name for path in files
    ]
    lines = (tmp_path / "captions.token.txt").read_text().splitlines()
    assert len(lines) == 100
    assert all(re.fullmatch(r"scene-\d{5}\.jpg#[0-4]\t[A-Z].*\.", line) for line in lines)
    lists = [(tmp_path / f"{s}.txt").read_text().splitlines() for s in ("train", "dev", "test")]
    assert [len(part) for part in lists] == [16, 2, 2]
    assert [name for part in lists for name in part] == [path.name for path in files]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    write(tmp_path, count=20, seed=5)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_word_is_frequent_enough_to_be_learnt(seed: int) -> None:
    parts = splits(COUNT)
    train, held_out = (
        _words([text for split in names for i in parts[split] for text in captions(scene(i, seed))])
        for names in (["train"], ["dev", "test"])
    )
    assert min(train.values()) >= 5
    assert set(held_out) <= set(train)
    assert 60 <= len(train) <= 120


def test_no_two_pictures_are_the_same() -> None:
    digests = {hashlib.sha256(jpeg(scene(i))).digest() for i in range(120)}
    assert len(digests) == 120


@pytest.mark.parametrize("count", [0, 9, CAPACITY + 1])
def test_a_count_that_cannot_be_split_or_drawn_is_wrong_usage(count: int, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"not {count}"):
        write(tmp_path / "sample", count=count)
    assert not (tmp_path / "sample").exists()
