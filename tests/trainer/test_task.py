import json
import os
import subprocess
import sys

import pytest

from tests import captioners
from tests.trainer import toy
from trainer import runs, task
from transforms import captioner, engines
from transforms.commandline import Exit
from transforms.engines import onnx_files
from transforms.errors import UsageError

SMALL = ["--units=16", "--embedding=8", "--hidden=16", "--attention_units=8", "--batch_images=4"]
LEARNING = [
    *SMALL,
    "--epochs=14",
    "--patience=14",
    "--learning_rate=0.03",
    "--warmup_steps=2",
    "--averaging=0",
    "--dropout=0",
    "--feature_dropout=0",
    "--label_smoothing=0",
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy") / "data"
    toy.dataset(folder)
    return folder


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    output = tmp_path_factory.mktemp("trained") / "captioner"
    flags = [f"--dataset={data}", f"--output={output}", *LEARNING]
    assert task.main(flags) == Exit.DONE
    return output, flags


def test_learns_and_writes_a_captioner(trained):
    output, _ = trained
    manifest = json.loads((output / "captioner.json").read_text())
    history = json.loads((output / "history.json").read_text())
    best = max(row["dev_cider"] for row in history)
    assert manifest["metrics"]["scores"]["CIDEr"] == pytest.approx(best, abs=1e-3)
    assert best > manifest["metrics"]["floor"]["scores"]["CIDEr"]
    assert manifest["encoder"]["input_size"] == [32, 32]
    captioner.load_saved_model(str(output))
    page = (output / "training.html").read_text()
    assert f"epoch {manifest['metrics']['epoch']} of {len(history)}" in page
    assert page.count("<td>cross-entropy</td>") == len(history)
    assert "<h2>Captions of dev</h2>" in page
    assert not (output / "training" / "checkpoint.npz").exists()


def test_the_same_command_again_has_nothing_to_do(trained, capsys):
    output, flags = trained
    before = (output / "captioner.json").stat().st_mtime_ns
    # Nor has it for what was trained before there was another search.
    run = output / "training" / "run.json"
    content = json.loads(run.read_text())
    del content["configuration"]["search"]
    run.write_text(json.dumps(content))
    assert task.main(flags) == Exit.DONE
    assert (output / "captioner.json").stat().st_mtime_ns == before
    assert "already trained" in capsys.readouterr().err


def test_flags_that_come_too_late_are_named(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(runs, "claim", lambda *_: True)
    flags = [f"--dataset={data}", f"--output={tmp_path / 'captioner'}"]
    assert task.main([*flags, "--license=MIT", "--max_minutes=9"]) == Exit.DONE
    told = "captioner: already trained; not used any more: --max_minutes, --license\n"
    assert capsys.readouterr().err.endswith(told)
    assert task.main(flags) == Exit.DONE
    assert capsys.readouterr().err.endswith("captioner: already trained\n")


def test_onnx_files_spare_captioning_tensorflow(trained, tmp_path):
    output, flags = trained
    before = {path: path.read_bytes() for path in (output / "saved_model").rglob("*.*")}
    # Also of a captioner that is there already; again they stay as they are.
    for _ in range(2):
        assert task.main([*flags, "--onnx"]) == Exit.DONE
    assert onnx_files.exported_with(captioner.read_manifest(str(output)))
    assert before == {path: path.read_bytes() for path in before}
    # A worker has no cache, and nowhere to make one.
    environment = {**os.environ, "BEAMCAP_CACHE": str(tmp_path / "cache")}
    captioners.check_light_engines(output, env=environment)
    assert not (tmp_path / "cache").exists()
    (output / "onnx" / "step.onnx").write_bytes(b"\0" * (output / "onnx/step.onnx").stat().st_size)
    with pytest.raises(UsageError, match=r"step\.onnx is not the file"):
        engines.load(str(output), "onnxruntime")


def test_an_output_of_another_run_is_refused(trained, data):
    _, flags = trained
    with pytest.raises(UsageError, match="--units=16, not --units=17"):
        task.main([*flags, "--units=17"])
    other = toy.dataset(data.parent / "other", train=10).folder
    with pytest.raises(UsageError, match="another dataset"):
        task.main([*flags, f"--dataset={other}"])


def test_a_vocabulary_of_another_run_is_refused(trained, tmp_path):
    output, flags = trained
    run = output / "training" / "run.json"
    kept = run.read_text()
    run.write_text(json.dumps({**json.loads(kept), "vocabulary": "0" * 64}))
    with pytest.raises(UsageError, match="another vocabulary"):
        task.main(flags)
    run.write_text(kept)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--unitz=3"], "did you mean --units"),
        (["--units=none"], "units"),
        (["--dropout=1"], "dropout"),
        (["--seed=2147483648"], "--seed: 2147483648 is not below 2147483648"),
        (["--inject=merge"], "--attention=none"),
        (["--preset=seed-lstm"], "--encoder=none"),
        (["--dataset=/nowhere"], "pipeline.preprocess"),
        (["--scst_samples=9"], "--scst_samples is for --scst_epochs above 0"),
        (["--no-scst_finetune"], "--scst_finetune is for --scst_epochs above 0"),
        (["--finetune_from_epoch=0"], "is for data sets of a CNN that is cut"),
        (["--pixels=64"], "--pixels is for --convolutions"),
        (["--heads=4"], "--heads is for --decoder=transformer"),
        (["--attention=none", "--attention_units=9"], "is for recurrent decoders with --attention"),
        (["--word_vectors=typo.txt"], "--word_vectors=typo.txt: No such file"),
        (["--word_vectors={vectors}", "--embedding=3"], "2 numbers, and --embedding=3"),
    ],
)
def test_wrong_use_is_refused_before_anything_is_written(data, tmp_path, flags, message):
    output, vectors = tmp_path / "captioner", tmp_path / "vectors.txt"
    vectors.write_text("red 1 2\nball 3 4\n")
    flags = [flag.format(vectors=vectors) for flag in flags]
    with pytest.raises(UsageError, match=message):
        task.main([f"--dataset={data}", f"--output={output}", *flags])
    assert not output.exists()


def test_a_folder_with_other_files_is_left_alone(data, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="empty --output"):
        task.main([f"--dataset={data}", f"--output={tmp_path}"])


@pytest.mark.parametrize(
    ("dev", "message"),
    [(0, "split dev has no captioned images"), (1, "the CIDEr of one is 0 whatever")],
)
def test_a_data_set_without_dev_images_to_choose_by_is_refused(tmp_path, dev, message):
    data = toy.dataset(tmp_path / "data", dev=dev).folder
    with pytest.raises(UsageError, match=message):
        task.main([f"--dataset={data}", f"--output={tmp_path / 'captioner'}"])


def test_an_error_is_one_line_and_exit_status_2():
    run = subprocess.run(
        [sys.executable, "-m", "trainer.task", "--dataset=/nowhere", "--output=/nowhere/out"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == Exit.WRONG_USAGE
    assert run.stderr.startswith("error: ")
    assert run.stderr.count("\n") == 1


def test_trains_a_network_from_the_pixels(tmp_path):
    toy.dataset(tmp_path / "data", encoder="none", train=4, dev=2)
    flags = ["--preset=seed-lstm", "--convolutions=4,4", "--pixels=8", *SMALL]
    flags.remove("--attention_units=8")
    flags += ["--epochs=9", "--max_minutes=0.00001"]
    flags += ["--license=CC-BY-4.0", "--data_note=Photos of *my* garden."]
    output = tmp_path / "captioner"
    assert task.main([f"--dataset={tmp_path / 'data'}", f"--output={output}", *flags]) == Exit.DONE
    assert len(json.loads((output / "history.json").read_text())) == 1
    card = (output / "MODEL_CARD.md").read_text()
    assert 'license: "CC-BY-4.0"' in card and "Photos of *my* garden." in card
