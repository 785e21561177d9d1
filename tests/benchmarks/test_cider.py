import json
from pathlib import Path

import pytest

from benchmarks import cider


def test_both_are_measured_and_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cider.main(["--count=20", "--rounds=1", f"--work={tmp_path}"])
    shown = capsys.readouterr().out
    assert "| CiderD " in shown and "≥ 20" in shown
    facts = json.loads((tmp_path / "cider.json").read_text())
    assert [one["name"] for one in facts["contenders"]] == ["CiderD", "pycocoevalcap"]
    assert facts["goals"][0]["value"] > 0
