"""Captioning with each engine: the same captions, and no TensorFlow where it is not needed."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline import caption
from tests import captioners
from transforms.commandline import Exit
from transforms.engines import onnx_files

PROGRAM = """
import sys
from pipeline import caption
caption.main(sys.argv[1:])
heavy = {"tensorflow", "keras", "tfx_bsl"} & set(sys.modules)
assert not heavy, heavy
"""


def table(folder: Path) -> tuple[dict[str, str], list[float], dict[str, str]]:
    manifest = json.loads((folder / "captions.json").read_text())
    rows = [row for file in manifest["data"] for row in pq.read_table(folder / file).to_pylist()]
    rows.sort(key=lambda row: row["key"])
    captions = {row["key"]: row["caption"] for row in rows}
    return captions, [row["score"] for row in rows], manifest["configuration"]["engine"]


def test_engines_write_the_same_captions(
    captioner_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with onnx_files.opened(str(captioner_folder)):
        pass
    (tmp_path / "photos").mkdir()
    for number, content in enumerate(captioners.jpegs(7)):
        (tmp_path / "photos" / f"{number}.jpg").write_bytes(content)
    flags = [f"--images={tmp_path}/photos", f"--captioner={captioner_folder}", "--batch_size=3"]
    found = {}
    for engine in ("openvino", "onnxruntime"):
        arguments = [*flags, f"--output={tmp_path}/{engine}", f"--engine={engine}"]
        subprocess.run([sys.executable, "-c", PROGRAM, *arguments], check=True)
        found[engine] = table(tmp_path / engine)
    output = f"--output={tmp_path}/tensorflow"
    assert caption.main([*flags, output, "--engine=tensorflow"]) is Exit.DONE
    wanted, scores, _ = table(tmp_path / "tensorflow")
    assert len(wanted) == 7
    for engine, (captions, its_scores, facts) in found.items():
        assert captions == wanted
        np.testing.assert_allclose(its_scores, scores, atol=1e-3)
        assert facts["name"] == engine
    # Another engine is no reason to make the table again.
    capsys.readouterr()
    assert caption.main([*flags, output, "--engine=onnxruntime"]) is Exit.DONE
    assert "nothing new" in capsys.readouterr().err
