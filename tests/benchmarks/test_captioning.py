"""The benchmark of captioning at a tiny size; what it measures there means nothing."""

import json
from pathlib import Path

import pytest

from benchmarks import captioning
from benchmarks.harness import Measured
from transforms.errors import UsageError


def test_parts_are_measured_and_shown(
    captioner_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    captioning.main(
        [
            f"--captioner={captioner_folder}",
            f"--work={tmp_path}",
            "--engines=tensorflow",
            "--parts=parts",
            "--count=4",
            "--rounds=1",
        ]
    )
    shown = capsys.readouterr().out
    for stage in captioning.STAGES:
        assert f"| {stage}" in shown
    assert "sum of the stages / job" in shown
    facts = json.loads((tmp_path / "captioning.json").read_text())
    assert facts["machine"]["cores"] >= 1
    assert all("images_per_second" in one for one in facts["parts"]), facts["parts"]
    assert len(facts["goals"]) == 2


def test_precisions_are_measured_side_by_side(
    captioner_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    captioning.main(
        [
            f"--captioner={captioner_folder}",
            f"--work={tmp_path}",
            "--engines=onnxruntime",
            "--parts=precision",
            "--count=4",
            "--rounds=1",
        ]
    )
    shown = capsys.readouterr().out
    for name in (
        "encoder, onnxruntime, fp32",
        "encoder, onnxruntime, int8",
        "job, onnxruntime, int8",
    ):
        assert f"| {name} " in shown
    facts = json.loads((tmp_path / "captioning.json").read_text())
    assert all("images_per_second" in one for one in facts["precision"]), facts["precision"]


def test_goals_of_stages() -> None:
    def taking(name: str, seconds: float) -> Measured:
        return Measured(name, [{"images": 1, "seconds": seconds, "cpu_seconds": seconds}])

    stages = [taking(name, seconds) for name, seconds in (("read", 0.2), ("encoder, x", 0.75))]
    whole, encoder = captioning.stage_goals("x", taking("job", 1.0), stages, 0.65)
    assert (whole.value, whole.verdict) == (pytest.approx(0.95), "met")
    assert (encoder.value, encoder.verdict) == (pytest.approx(0.75), "met")


def test_a_slope_leaves_out_what_a_job_costs_once() -> None:
    small = Measured("s", [{"images": 10, "seconds": 6, "cpu_seconds": 6, "peak_bytes": 1}])
    large = Measured("l", [{"images": 110, "seconds": 16, "cpu_seconds": 26, "peak_bytes": 2}])
    found = captioning.slope("both", small, large)
    assert found.rate == pytest.approx(10)
    assert found.cpu_seconds_per_image == pytest.approx(0.2)


def test_unknown_parts_are_refused() -> None:
    with pytest.raises(UsageError, match="--parts=speed: there is no such part"):
        captioning.main(["--captioner=x", "--parts=speed"])


def test_unknown_engines_are_refused() -> None:
    with pytest.raises(UsageError, match="--engines=foo: there is no such engine; use some of op"):
        captioning.main(["--captioner=x", "--engines=tensorflow,foo"])


def test_unknown_peers_are_refused() -> None:
    with pytest.raises(UsageError, match="--peers=abacus: there is no such peer; use some of tf"):
        captioning.main(["--captioner=x", "--peers=Keras loop,abacus"])
