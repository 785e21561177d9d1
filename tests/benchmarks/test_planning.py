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
