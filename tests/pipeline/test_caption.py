"""What the flags of pipeline.caption come to, before any work; those of the search apart."""

from pathlib import Path

import pytest

from pipeline import caption
from pipeline.captioning.settings import Settings
from transforms import bundled, files


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with two of images."""
    monkeypatch.chdir(tmp_path)
    for name in ("cats", "dogs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.jpg").write_bytes(b"not looked into")
    return tmp_path


def resolve(*flags: str) -> Settings:
    base = ("--images=cats", "--output=out", "--engine=tensorflow")
    return caption.resolve(caption.build_parser().parse_args([*base, *flags]))


def test_every_source_is_captioned(folder: Path) -> None:
    assert resolve("--images=dogs").images == (f"{folder}/cats", f"{folder}/dogs")


def test_captioners_come_with_the_package(folder: Path) -> None:
    usual, fast = resolve(), resolve("--fast")
    assert usual.captioners == (bundled.captioner("en"),)
    assert fast.captioners == (bundled.captioner("en", fast=True),)
    assert fast.model() != usual.model()
    assert resolve("--language=zh").captioners == (bundled.captioner("zh"),)


def test_a_captioner_is_asked_once_for_what_it_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In a bucket each time takes a while.
    asked: list[str] = []
    read = files.read_if_there
    monkeypatch.setattr(files, "read_if_there", lambda path: asked.append(path) or read(path))
    settings = resolve("--search=consensus", "--details=attention")
    assert [Path(path).name for path in asked] == ["captioner.json"]
    assert len(settings.forms) == 1
    assert "forms" not in settings.configuration()  # The captioner decides it.
