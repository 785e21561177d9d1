"""Dividing images into splits."""

from hypothesis import given
from hypothesis import strategies as st

from transforms import splits


def test_shares_come_out_as_asked() -> None:
    names = [splits.by_hash(f"{i}.jpg", 0.1, 0.2, seed=0) for i in range(10_000)]
    assert abs(names.count("dev") - 1000) < 100
    assert abs(names.count("test") - 2000) < 130


@given(st.text(), st.floats(0, 1), st.integers())
def test_an_image_keeps_its_split(key: str, share: float, seed: int) -> None:
    assert splits.by_hash(key, share, 0, seed) == splits.by_hash(key, share, 0, seed)
    assert splits.by_hash(key, 0, 0, seed) == "train"
    assert splits.by_hash(key, 0, 1, seed) == "test"


def test_another_seed_divides_otherwise() -> None:
    keys = [f"{i}.jpg" for i in range(100)]
    assert [splits.by_hash(k, 0.5, 0, 0) for k in keys] != [
        splits.by_hash(k, 0.5, 0, 1) for k in keys
    ]


def test_held_out_wins() -> None:
    assert splits.most_held_out(["train", "dev"]) == "dev"
    assert splits.most_held_out(["dev", "test", "train"]) == "test"
