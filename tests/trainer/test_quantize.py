"""Int8 encoders: close to what they were made of, the same every time, and never by accident."""

import json
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from pipeline import caption
from tests import captioners
from trainer import compact, quantize
from transforms import bundled, captioner, captions_table, engines
from transforms.commandline import Exit
from transforms.engines import int8, onnx_files
from transforms.errors import UsageError


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for number, content in enumerate(captioners.jpegs(20)):
        (folder / f"{number}.jpg").write_bytes(content)
    (folder / "0.jpg").rename(folder / os.fsdecode(b"\xff.jpg"))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    return folder


@pytest.fixture(scope="module")
def quantised(
    captioner_folder: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory
) -> str:
    output = tmp_path_factory.mktemp("quantised") / "captioner"
    flags = [f"--captioner={captioner_folder}", f"--images={photos}", f"--output={output}"]
    assert quantize.main(flags) is Exit.DONE
    return str(output)


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_maps_are_close_to_those_of_fp32(name: str, quantised: str) -> None:
    pixels = captioners.pictures(12)
    wanted = engines.load(quantised, name).encode(pixels).reshape(12, -1)
    found = engines.load(quantised, name, precision="int8").encode(pixels).reshape(12, -1)
    lengths = np.linalg.norm(wanted, axis=1) * np.linalg.norm(found, axis=1)
    assert ((wanted * found).sum(axis=1) / lengths).min() > 0.99
    assert np.abs(wanted - found).max() > 1e-3  # It is not fp32 under another name.


def test_what_the_captioner_says_of_it(quantised: str, captioner_folder: Path) -> None:
    manifest = captioner.read_manifest(quantised)
    facts = manifest["int8"]
    assert (facts["pictures"], facts["compared"]) == (16, 4)
    assert 0.99 < facts["least"] <= facts["mean"] <= 1
    card = (Path(quantised) / "MODEL_CARD.md").read_text()
    assert f"is {facts['mean']:.4f} on\naverage" in card
    # In fp32 it is the captioner that it was made of.
    whole = engines.digest(quantised, manifest)
    assert whole == captioner.digest(captioner.read_manifest(str(captioner_folder)))
    assert engines.digest(quantised, manifest, "int8") != whole
    with pytest.raises(UsageError, match="has an int8 encoder already"):
        quantize.write(quantised, ["photos"], 3, Path("nowhere"))
    with pytest.raises(UsageError, match="has an int8 encoder, which a compact one"):
        compact.write(quantised, Path("nowhere"))


def test_the_same_images_give_the_same_bytes(
    captioner_folder: Path,
    photos: Path,
    quantised: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Also from new ONNX files, and where the images lie in another folder.
    monkeypatch.setenv("BEAMCAP_CACHE", str(tmp_path / "cache"))
    (tmp_path / "moved").symlink_to(photos)
    quantize.write(str(captioner_folder), [str(tmp_path / "moved")], 300, tmp_path / "again")
    for name in ("captioner.json", "onnx/encode_int8.onnx", "onnx/step.onnx"):
        assert (tmp_path / "again" / name).read_bytes() == (Path(quantised) / name).read_bytes()


def test_a_table_knows_its_precision(
    quantised: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [f"--images={photos}", f"--captioner={quantised}", f"--output={tmp_path}/table"]

    def run(*more: str) -> tuple[dict[str, str], int]:
        assert caption.main([*flags, *more]) is Exit.DONE
        manifest = json.loads((tmp_path / "table" / "captions.json").read_text())
        engine = manifest["configuration"]["engine"]
        return engine, manifest["generation"]

    engine, generation = run()
    assert (engine["precision"], generation) == ("fp32", 1)
    # Int8 is another model: rows are made again, once.
    engine, generation = run("--precision=int8")
    assert (engine["precision"], generation) == ("int8", 2)
    assert engine["name"] != "tensorflow"
    captions = {row["key"]: row["caption"] for row in captions_table.rows(f"{tmp_path}/table")}
    assert len(captions) == 20
    assert run("--precision=int8")[1] == 2
    assert "nothing new" in capsys.readouterr().err
    # The engines round in other places.
    assert run("--precision=int8", "--engine=onnxruntime")[1] == 3


def test_int8_is_refused_where_it_cannot_be(
    captioner_folder: Path,
    quantised: str,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flags = [f"--images={photos}", f"--output={tmp_path}/out", "--precision=int8"]
    with pytest.raises(UsageError, match=r"has no int8 encoder: make one .* trainer\.quantize"):
        caption.main([*flags, f"--captioner={captioner_folder}"])
    with pytest.raises(UsageError, match="not for the engine tensorflow: leave out --engine"):
        caption.main([*flags, f"--captioner={quantised}", "--engine=tensorflow"])
    with pytest.raises(UsageError, match="there is no precision 'int4'"):
        engines.load(quantised, precision="int4")
    with pytest.raises(UsageError, match="give one of the two"):
        quantize.main([f"--images={photos}", "--output=x"])
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr(bundled, "FOLDER", tmp_path / "empty")
    with pytest.raises(UsageError, match="the package comes without a captioner for zh"):
        quantize.main([f"--images={photos}", "--language=zh", "--output=x"])
    with pytest.raises(UsageError, match="there is no image in it that can be used"):
        quantize.write(str(captioner_folder), [f"{tmp_path}/empty"], 3, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_paths_may_begin_at_home(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(photos.parent))
    flags = ["--captioner=~/none", "--output=~/out"]
    with pytest.raises(UsageError, match=f"there is no folder {photos.parent}/gone"):
        quantize.main([*flags, "--images=~/gone"])
    with pytest.raises(UsageError, match=f"{photos.parent}/none: "):
        quantize.main([*flags, f"--images=~/{photos.name}"])


@pytest.mark.parametrize("command", [compact, quantize])
def test_a_misspelt_flag_is_named_with_the_one_that_was_meant(command: ModuleType) -> None:
    with pytest.raises(UsageError, match="unknown flag --captionr: did you mean --captioner"):
        command.main(["--captionr=x"])


@pytest.mark.parametrize(("count", "expected"), [(1, (1, 19)), (12, (12, 8)), (300, (16, 4))])
def test_what_is_beyond_the_count_is_compared(
    captioner_folder: Path,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    count: int,
    expected: tuple[int, int],
) -> None:
    seen = []

    def quantise(_: Path, made: Path, pixels: np.ndarray) -> None:
        seen.append(len(pixels))
        made.write_bytes(b"model")

    def fidelity(*arguments: Any) -> int8.Fidelity:
        seen.append(len(arguments[2]))
        return int8.Fidelity(1.0, 1.0)

    monkeypatch.setattr(int8, "quantise", quantise)
    monkeypatch.setattr(int8, "fidelity", fidelity)
    quantize.write(str(captioner_folder), [str(photos)], count, tmp_path / "out")
    assert tuple(seen) == expected


@pytest.mark.parametrize("command", [compact, quantize])
def test_a_bucket_is_refused(command: ModuleType, captioner_folder: Path, photos: Path) -> None:
    flags = [f"--captioner={captioner_folder}", "--output=gs://bucket/small"]
    flags += [f"--images={photos}"] if command is quantize else []
    with pytest.raises(UsageError, match="--output=gs://bucket/small: it is written to a local"):
        command.main(flags)


def test_with_one_image(captioner_folder: Path, photos: Path, tmp_path: Path) -> None:
    quantize.write(str(captioner_folder), [f"{photos}/7.jpg"], 300, tmp_path / "out")
    manifest = captioner.read_manifest(str(tmp_path / "out"))
    facts = manifest["int8"]
    assert (facts["pictures"], facts["compared"]) == (1, 1)
    assert onnx_files.exported_with(manifest)
