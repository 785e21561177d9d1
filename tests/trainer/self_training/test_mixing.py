"""The books of a data set of people's captions and generated ones."""

from pathlib import Path

import pytest

from tests.trainer import toy
from trainer.examples import DatasetExamples
from trainer.self_training import mixing
from trainer.self_training.candidates import Caption
from transforms import stored
from transforms.stored import Stored

GENERATED = (Caption("a red box", 0.5, 1.0), Caption("a big box", 0.4, 0.9))
CHOSEN = {f"train/{number}.jpg": GENERATED for number in (12, 14, 15)}


@pytest.mark.parametrize("of_labelled", [(), ("flip", "crop")])
@pytest.mark.parametrize("of_unlabelled", [(), ("flip",)])
def test_images_and_the_views_of_them_are_counted_apart(
    tmp_path: Path, of_labelled: tuple[str, ...], of_unlabelled: tuple[str, ...]
) -> None:
    labelled = toy.dataset(tmp_path / "labelled", views=of_labelled)
    unlabelled = toy.dataset(tmp_path / "unlabelled", train=18, views=of_unlabelled)
    mixed = mixing.write(str(tmp_path / "mixed"), labelled, unlabelled, CHOSEN, {"weight": 0.5}, ())
    assert mixed.images("train") == 12 + 3
    assert mixed.captions("train") == 12 * 3 + 3 * 2
    assert mixed.manifest["generated"] == {"weight": 0.5, "images": 3, "captions": 6}
    stored = 12 * (1 + len(of_labelled)) + 3 * (1 + len(of_unlabelled))
    assert ("records" in mixed.manifest["splits"]["train"]) == (stored != 12 + 3)
    # A pass that yields more or fewer than this would end the training.
    examples = DatasetExamples(mixed, "train")
    assert examples.images == stored
    assert sum(len(inputs) for inputs, _ in examples.batches(4, seed=0)) == stored
    facts = mixed.manifest["files"]
    assert sum(
        facts[name]["records"] for name in facts if name not in labelled.manifest["files"]
    ) == 3 * (1 + len(of_unlabelled))


def test_students_imitate_no_jpegs_where_not_all_images_were_stored_alike(tmp_path: Path) -> None:
    labelled = toy.dataset(tmp_path / "labelled")
    unlabelled = toy.dataset(tmp_path / "unlabelled", train=18)
    small, other = Stored(224, 224, 85, "4:2:0"), Stored(223, 224, 50, "4:2:0")
    labelled.manifest |= stored.described(small)
    one = dict(list(CHOSEN.items())[:1])
    cases = [
        (small, CHOSEN, small),
        (other, CHOSEN, None),
        (None, CHOSEN, None),
        (None, one, small),
    ]
    for number, (added, chosen, kept) in enumerate(cases):
        unlabelled.manifest.pop(stored.PICTURES, None)
        unlabelled.manifest |= stored.described(added)
        output = str(tmp_path / f"mixed-{number}")
        mixed = mixing.write(output, labelled, unlabelled, chosen, {}, ())
        assert stored.of(mixed.manifest) == kept


def test_keys_stay_unique_where_other_images_have_the_same(tmp_path: Path) -> None:
    labelled = toy.dataset(tmp_path / "labelled")
    unlabelled = toy.dataset(tmp_path / "unlabelled", train=18)
    taken = {record.key for record in labelled.records("train")} | {"unlabelled/train/2.jpg"}
    chosen = {f"train/{number}.jpg": GENERATED for number in (1, 2, 14)}
    mixed = mixing.write(str(tmp_path / "mixed"), labelled, unlabelled, chosen, {}, taken)
    keys = [record.key for record in mixed.records("train")]
    assert len(set(keys)) == len(keys) == 12 + 3
    assert {record.key for record in mixed.records("train") if record.generated} == {
        "unlabelled/train/1.jpg",
        "unlabelled/unlabelled/train/2.jpg",
        "train/14.jpg",
    }


def test_a_new_key_is_no_chosen_image_s() -> None:
    chosen = dict.fromkeys(("a", "unlabelled/a"), GENERATED)
    assert mixing._names(chosen, {"a"}) == {
        "a": "unlabelled/unlabelled/a",
        "unlabelled/a": "unlabelled/a",
    }
    assert mixing._names(chosen, {"a", "unlabelled/a"}) == {
        "a": "unlabelled/unlabelled/a",
        "unlabelled/a": "unlabelled/unlabelled/unlabelled/a",
    }
