"""Captioners' directories: what is refused, and the digest."""

import json
import os
import shutil
from pathlib import Path

import pytest

from tests import captioners
from transforms.captioner import digest, load_saved_model, read_manifest
from transforms.errors import UsageError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("captioner")
    data = captioners.dataset(folder / "data", "none")
    settings = captioners.configuration(convolutions=(4, 6), pixels=16)
    captioners.write(folder / "captioner", data, captioners.model(data, settings))
    return folder / "captioner"


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "captioner"))


def test_refuses_a_directory_without_a_manifest(copy: Path) -> None:
    (copy / "captioner.json").unlink()
    with pytest.raises(UsageError, match=r"there is no captioner\.json: make a captioner with"):
        read_manifest(str(copy))


def test_refuses_a_file_that_is_missing(copy: Path) -> None:
    (copy / "vocabulary.txt").unlink()
    with pytest.raises(UsageError, match=r"vocabulary\.txt is missing"):
        read_manifest(str(copy))


def test_what_else_lies_in_the_directory_need_not_be_readable(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (copy / "lost+found").mkdir()

    def closed(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", closed)
    assert read_manifest(str(copy))["files"]


def test_refuses_a_file_of_another_size(copy: Path) -> None:
    with (copy / "saved_model" / "saved_model.pb").open("ab") as stream:
        stream.write(b"more")
    with pytest.raises(UsageError, match=r"saved_model\.pb has \d+ bytes, should have"):
        load_saved_model(str(copy))


def test_refuses_weights_that_were_changed(copy: Path) -> None:
    (weights,) = (copy / "saved_model" / "variables").glob("*.data-*")
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(UsageError, match="is not the file that captioner"):
        load_saved_model(str(copy))


def test_the_digest_is_that_of_the_captions(folder: Path, copy: Path) -> None:
    manifest = json.loads((copy / "captioner.json").read_text())
    manifest["provenance"]["seconds"] += 1
    (copy / "captioner.json").write_text(json.dumps(manifest))
    assert digest(read_manifest(str(copy))) == digest(read_manifest(str(folder)))
    manifest["files"]["saved_model/saved_model.pb"]["sha256"] = "0" * 64
    (copy / "captioner.json").write_text(json.dumps(manifest))
    assert digest(read_manifest(str(copy))) != digest(read_manifest(str(folder)))
