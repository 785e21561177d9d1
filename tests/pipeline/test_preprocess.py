"""What the flags of pipeline.preprocess come to, before any work."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import preprocess
from pipeline.common import launch
from pipeline.common.performance import Performance
from pipeline.preprocessing import job
from pipeline.preprocessing.settings import Settings
from transforms.commandline import Exit
from transforms.errors import UsageError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a picture and its caption."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"x")
    (tmp_path / "captions.csv").write_text("image,caption\na.jpg,A dog\n")
    return tmp_path


def resolve(
    *flags: str, images: str = "photos", captions: str = "--captions=captions.csv"
) -> Settings:
    base = (f"--images={images}", captions)
    return preprocess.resolve(preprocess.build_parser().parse_args([*base, *flags]))


def refusal(*flags: str, images: str = "photos") -> str:
    with pytest.raises(UsageError) as caught:
        resolve(*flags, images=images)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_names_of_encoders_and_weights_are_no_paths(folder: Path) -> None:
    for name in ("imagenet", "none", "efficientnet-lite0"):
        (folder / name).mkdir()
    found = resolve()
    assert (found.encoder, found.weights) == ("efficientnet-lite0", "imagenet")
    assert resolve("--encoder_weights=none").weights == "none"
    assert resolve("--encoder=none").encoder == "none"
    (folder / "mine.pth").write_bytes(b"x")
    assert resolve("--encoder_weights=mine.pth").weights == str(folder / "mine.pth")


def test_an_image_size_is_for_stored_images(folder: Path) -> None:
    assert resolve("--encoder=none", "--image_size=512").image_size == 512
    assert refusal("--image_size=512") == (
        "--image_size=512 is for --encoder=none; efficientnet-lite0 has a size of its own: leave"
        " it out"
    )


def test_a_home_folder_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    assert resolve(images="~/photos").images == (f"{folder}/photos",)
    assert resolve(images="~/photos/*.jpg").images == (f"{folder}/photos/*.jpg",)
    assert "there is no folder" in refusal(images="~/nowhere")


def test_folders_that_are_classes_may_be_named_one_by_one(folder: Path) -> None:
    for kind in ("cats", "dogs"):
        (folder / "pets" / kind).mkdir(parents=True)
        (folder / "pets" / kind / "1.jpg").write_bytes(b"x")
    found = resolve("--images=pets/dogs", images="pets/cats", captions="--captions_format=folders")
    assert (found.captions_format, found.tokenizer) == ("folders", "words")
    assert found.images == (f"{folder}/pets/cats", f"{folder}/pets/dogs")
    with pytest.raises(UsageError, match="no image is in a folder whose name could be its caption"):
        resolve(images="pets/cats", captions="--captions_format=folders")


def test_a_seed_is_a_whole_number_from_0_on(folder: Path) -> None:
    assert resolve(f"--seed={2**70}").seed == 2**70
    assert "-1 is negative" in refusal("--seed=-1")


def test_lists_are_checked_before_work(folder: Path) -> None:
    (folder / "names.txt").write_text("photos\\a.jpg\n")
    assert resolve("--train_list=names.txt").lists == (("train", f"{folder}/names.txt"),)
    (folder / "names.txt").write_bytes(b"a.jpg\ncaf\xe9.jpg\n")
    assert refusal("--dev_list=names.txt") == (
        f"--dev_list={folder}/names.txt: line 2: not UTF-8 text: save the file as UTF-8"
    )
    for name, reason in (("photos", "Is a directory"), ("none", "No such file or directory")):
        assert refusal(f"--test_list={name}") == (
            f"--test_list={folder}/{name}: the list cannot be read ({reason}); check the path"
        )


def test_workers_that_share_the_machine_share_its_cores(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[Performance] = []

    def start(job: object, build: Callable[..., None], *_: object) -> Exit:
        build(None, None)
        return Exit.DONE

    monkeypatch.setattr(launch, "start", start)
    monkeypatch.setattr(job, "build", lambda *arguments: built.append(arguments[2]))
    flags = ["--images=photos", "--captions=captions.csv", "--readers=3", "--image_seconds=9"]
    flags += ["--direct_running_mode=multi_processing", "--direct_num_workers=5"]
    assert preprocess.main(flags) is Exit.DONE
    assert built == [Performance(readers=3, image_seconds=9, workers=5)]
