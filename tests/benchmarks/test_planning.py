import json
from pathlib import Path

import pytest

from benchmarks import planning


def test_plan_and_commit_are_simulated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planning.main(["--references=600", "--unit_size=20", f"--work={tmp_path}"])
    shown = capsys.readouterr().out
    assert "600 references" in shown and "bytes of memory" in shown
    facts = json.loads((tmp_path / "planning.json").read_text())
    few, many = facts["plan"]
    assert (few["runs"][0]["units"], many["runs"][0]["units"]) == (3, 30)
    assert facts["commit"][1]["runs"][0]["manifest_bytes"] > 10_000


def test_shards_share_the_references(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--parts=plan", "--references=5", "--shards=2", "--unit_size=2"]
    planning.main([*flags, f"--work={tmp_path}"])
    sizes = [
        one["runs"][0]["images"]
        for one in json.loads((tmp_path / "planning.json").read_text())["plan"]
    ]
    assert sizes == [3, 2]
    assert "5 references, 2 shards" in capsys.readouterr().out
