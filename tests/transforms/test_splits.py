"""Dividing images into splits."""

from hypothesis import given
from hypothesis import strategies as st

from transforms import splits


def test_shares_come_out_as_asked() -> None:
    names = [splits.by_hash(f"{i}.jpg", 0.1, 0.2, seed=0) for i in range(10_000)]
    assert abs(names.count("dev") - 1000) < 100
    assert abs(names.count("test") - 2000) < 130


def test_an_image_keeps_its_split_from_version_to_version() -> None:
    # Another division would train on images that the reports of before call held out.
    found = [splits.by_hash(f"{number}.jpg", 0.2, 0.3, seed=7) for number in range(10)]
    assert found == [
        *("dev", "train", "dev", "train", "train"),
        *("train", "test", "test", "test", "dev"),
    ]


@given(st.text(), st.integers())
def test_shares_of_nothing_and_all_are_kept_to(key: str, seed: int) -> None:
    assert splits.by_hash(key, 0, 0, seed) == "train"
    assert splits.by_hash(key, 1, 0, seed) == "dev"
    assert splits.by_hash(key, 0, 1, seed) == "test"


def test_another_seed_divides_otherwise() -> None:
    keys = [f"{i}.jpg" for i in range(100)]
    assert [splits.by_hash(k, 0.5, 0, 0) for k in keys] != [
        splits.by_hash(k, 0.5, 0, 1) for k in keys
    ]


def test_held_out_wins() -> None:
    assert splits.most_held_out(["train", "dev"]) == "dev"
    assert splits.most_held_out(["dev", "test", "train"]) == "test"
