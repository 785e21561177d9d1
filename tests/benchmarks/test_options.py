from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import captioning, memory, options, planning, preprocessing, requests, training
from transforms.errors import UsageError


@pytest.mark.parametrize(
    ("benchmark", "flags", "few"),
    [
        (captioning, ["--captioner=x", "--parts=precision,workers", "--count=4"], "--count=4"),
        (captioning, ["--captioner=x", "--parts=peers", "--peer_images=5"], "--peer_images=5"),
        (captioning, ["--captioner=x", "--parts=growth", "--many=6"], "--many=6"),
        (memory, ["--captioner=x", "--count=4"], "--count=4"),
        (preprocessing, ["--count=4"], "--count=4"),
    ],
)
def test_too_few_pictures_are_refused_before_work(
    benchmark: ModuleType, flags: list[str], few: str, tmp_path: Path
) -> None:
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes(b"x")
    (tmp_path / "list.txt").write_bytes(b"x")
    with pytest.raises(UsageError, match=f"has 3 image files, and {few} takes more"):
        benchmark.main([*flags, f"--images={tmp_path}", f"--work={tmp_path}/work"])
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("benchmark", "flags"),
    [
        (planning, ["--count=9"]),
        (planning, ["--rounds=2"]),
        (requests, ["--images=photos"]),
        (requests, ["--captioner=x", "--beam_width=1"]),
        (requests, ["--captioner=x", "--length_penalty=0"]),
        (training, ["--dataset=x", "--count=9"]),
    ],
)
def test_a_flag_that_a_benchmark_has_no_use_for_is_unknown(
    benchmark: ModuleType, flags: list[str]
) -> None:
    with pytest.raises(UsageError, match=f"unknown flag {flags[-1].split('=')[0]}"):
        options.parse(benchmark.build_parser(), flags)
