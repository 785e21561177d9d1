"""Compact captioners: small, and used as any other."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests import captioners
from trainer import compact, model_card, task
from trainer.command_line import refuse_idle
from trainer.presets import resolve
from transforms import bundled, captioner, encoders, engines, files, manifests
from transforms.commandline import Exit
from transforms.dataset import open_dataset
from transforms.errors import UsageError


def test_a_compact_captioner_runs_on_every_engine(
    captioner_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEAMCAP_CACHE", str(tmp_path / "cache"))
    small = tmp_path / "small"
    flags = [f"--captioner={captioner_folder}", f"--output={small}"]
    assert compact.main(flags) is Exit.DONE
    assert not (small / "saved_model").exists()
    assert (small / "ngrams.txt").read_bytes() == (captioner_folder / "ngrams.txt").read_bytes()
    made = captioner.read_manifest(str(small))
    tensors = made["compact"]
    assert sum("encoder" in tensor for tensor in tensors) >= 2  # Its CNN's kernel and bias.
    assert captioner.digest(made) != captioner.digest(
        captioner.read_manifest(str(captioner_folder))
    )
    pixels = captioners.pictures(3)
    whole = engines.load(str(captioner_folder), "tensorflow")
    features = whole.encode(pixels)
    memory, state = whole.start(features)
    wanted = whole.step(np.ones((3, 1), np.int32), state, memory).log_probs
    for name in engines.ENGINES:
        engine = engines.load(str(small), name)
        np.testing.assert_allclose(engine.encode(pixels), features, rtol=1e-3)
        memory, state = engine.start(features)
        found = engine.step(np.ones((3, 1), np.int32), state, memory).log_probs
        np.testing.assert_allclose(found, wanted, atol=0.02)
        assert np.abs(found - wanted).max() > 0  # float16 is not float32.
    with pytest.raises(UsageError, match="exists already"):
        compact.main(flags)


def test_the_card_s_program_runs(
    captioner_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    small = tmp_path / captioner_folder.name
    compact.write(str(captioner_folder), small)
    card = (small / "MODEL_CARD.md").read_text()
    assert "TensorFlow alone cannot read it" in card and "with TensorFlow alone" not in card
    (program,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    (tmp_path / "photo.jpg").write_bytes(captioners.jpegs(1)[0])
    monkeypatch.chdir(tmp_path)
    exec(program, {})  # As people would from this folder.
    caption, score = capsys.readouterr().out.rsplit(maxsplit=1)
    assert set(caption.split()) <= set(captioners.WORDS)
    assert float(score) < 0


@pytest.mark.parametrize("folder", sorted(bundled.FOLDER.iterdir()), ids=lambda path: path.name)
def test_the_cards_of_the_package_are_those_of_compact_captioners(folder: Path) -> None:
    manifest = captioner.read_manifest(str(folder))
    card = manifests.read_file(str(folder), manifest, "MODEL_CARD.md").decode()
    assert model_card.compacted(card) == card
    assert re.search(r'^captioner = load_saved_model\("', card, re.MULTILINE)
    (command,) = re.findall(r"^python -m (trainer\.task (?:.*\\\n)+.*)", card, re.MULTILINE)
    words = shlex.split(command.replace("\\\n", ""))
    flags = vars(task.parser().parse_args(words[1:]))
    explicit = {name: flags[name] for name in manifest["configuration"] if name in flags}
    refuse_idle(explicit, resolve(flags["preset"], explicit).idle("rest" in manifest["encoder"]))
    assert card.endswith(compact.NOTE.format(encoder=manifest["encoder"]["name"]))


def test_a_random_encoder_comes_back_from_its_own_seed(tmp_path: Path) -> None:
    file = captioners.encoder_file(tmp_path / "cnn.keras")
    manifest = captioners.dataset(tmp_path / "data", file).manifest
    facts = encoders.load(file, "none", seed=7).describe()
    manifest["encoder"] = facts | {"dtype": "float16"}
    manifest["configuration"]["seed"] = 7
    files.write_json(str(tmp_path / "data" / "dataset.json"), manifest)
    data = open_dataset(tmp_path / "data")
    whole, small = tmp_path / "captioner", tmp_path / "small"
    captioners.write(whole, data, captioners.model(data, captioners.configuration(seed=1)))
    compact.write(str(whole), small)
    assert any("encoder" in each for each in captioner.read_manifest(str(small))["compact"])
    captioner.load_saved_model(str(small))
    # Older ones do not tell it.
    older = captioner.read_manifest(str(whole))
    del older["encoder"]["seed"]
    files.write_json(str(whole / "captioner.json"), older)
    with pytest.raises(UsageError, match=r"not of the seed 1, .* write the --seed of its prep"):
        compact.write(str(whole), tmp_path / "other")
    older["provenance"]["seed"] = 7
    older["configuration"]["start_from"] = "/home/someone/first"
    files.write_json(str(whole / "captioner.json"), older)
    compact.write(str(whole), tmp_path / "other")
    made = captioner.read_manifest(str(tmp_path / "other"))
    assert made["configuration"]["start_from"] == "first"


def test_changed_weights_are_refused(captioner_folder: Path, tmp_path: Path) -> None:
    compact.write(str(captioner_folder), tmp_path / "small")
    shutil.copytree(tmp_path / "small", tmp_path / "changed")
    content = bytearray((tmp_path / "changed" / "weights.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "changed" / "weights.npz").write_bytes(content)
    # What the cache has of the true one must not hide it.
    captioner.load_saved_model(str(tmp_path / "small"))
    with pytest.raises(UsageError, match=r"weights\.npz is not the file"):
        captioner.load_saved_model(str(tmp_path / "changed"))
