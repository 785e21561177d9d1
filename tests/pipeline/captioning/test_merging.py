"""Which parts of a captions table become one."""

from pipeline.captioning import merging
from pipeline.captioning.elements import Part


def part(rows: int, model: str = "m", policy: str = "p") -> Part:
    return Part(
        {"rows": rows, "rejected": 0, "generation": 1, "model": model, "policy": policy}, {}
    )


def test_parts_of_other_captioners_or_policies_are_never_merged() -> None:
    # Or a new captioner's rows would be taken for the old one's, and not made again.
    table = {f"{number}": part(2, model="old" if number % 2 else "new") for number in range(6)}
    table |= {f"refused {number}": part(1, policy=f"{number}") for number in range(2)}
    table["large"] = part(50)
    groups = [{name for name, _ in group} for group in merging.groups(table, 100, merge_above=2)]
    assert sorted(groups, key=min) == [{"0", "2", "4"}, {"1", "3", "5"}]
    assert list(merging.groups(table, 100, merge_above=8)) == []
