"""A backbone of keras-hub from the pictures to their captions."""

import json
from pathlib import Path

import pytest

from pipeline import caption, preprocess
from tests import hub_presets
from trainer import task
from transforms import captions_table, sample
from transforms.commandline import Exit


@pytest.mark.usefixtures("without_java")
def test_a_preset_s_captioner_captions_without_the_preset(tmp_path: Path) -> None:
    sample.write(tmp_path / "scenes", 30)
    hub_presets.write(tmp_path / "presets")
    spec = f"hub:{tmp_path}/presets/clip"
    flags = [
        f"--images={tmp_path}/scenes/images",
        f"--captions={tmp_path}/scenes/captions.token.txt",
        f"--encoder={spec}",
        f"--output={tmp_path}/dataset",
    ]
    assert preprocess.main(flags) is Exit.DONE
    flags = [f"--dataset={tmp_path}/dataset", f"--output={tmp_path}/captioner", "--epochs=1"]
    flags += ["--units=8", "--embedding=8", "--hidden=8", "--attention_units=8"]
    assert task.main(flags) is Exit.DONE
    (tmp_path / "presets").rename(tmp_path / "elsewhere")
    flags = [f"--images={tmp_path}/scenes/images", f"--captioner={tmp_path}/captioner"]
    assert caption.main([*flags, f"--output={tmp_path}/captions", "--page_images=0"]) is Exit.DONE
    rows = list(captions_table.rows(str(tmp_path / "captions")))
    assert len(rows) == 30
    assert all(row["caption"] for row in rows)
    manifest = json.loads((tmp_path / "captioner" / "captioner.json").read_text())
    assert manifest["encoder"]["name"] == spec
