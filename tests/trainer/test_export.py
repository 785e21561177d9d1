"""The exported captioner: what it says, where it loads, and what a kill leaves."""

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import tensorflow as tf
from apache_beam.io.filesystem import FileMetadata
from apache_beam.io.localfilesystem import LocalFileSystem
from PIL import Image

from tests import captioners
from trainer import export
from trainer.configuration import Configuration
from trainer.model import Captioner
from transforms import captioner as contract
from transforms import images, manifests
from transforms.captioners import Captioners
from transforms.dataset import Dataset, open_dataset
from transforms.errors import UsageError
from transforms.pages.training import Example
from transforms.search import SearchOptions
from transforms.stored import Form, Stored

EXAMPLES = [Example(os.fsdecode(b"caf\xe9.jpg"), "a red box", "a big red box")]
CHINESE = ("狗", "草地", "上", "tv", "ok", "白色", "跑")


class Bucket(LocalFileSystem):
    """An object store for Beam, kept in a folder: no directories, no renames."""

    root: Path

    @classmethod
    def scheme(cls) -> str:
        return "bucket"

    def has_dirs(self) -> bool:
        return False

    def open(self, path: str, *_: object, **__: object) -> BinaryIO:
        return self._local(path).open("rb")

    def create(self, path: str, *_: object, **__: object) -> BinaryIO:
        place = self._local(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        return place.open("wb")

    def exists(self, path: str) -> bool:
        return self._local(path).exists()

    def delete(self, paths: list[str]) -> None:
        for path in paths:
            self._local(path).unlink()

    def rename(self, *_: object) -> None:
        raise AssertionError("a store has no renames")

    def _local(self, path: str) -> Path:
        return self.root / path.removeprefix("bucket://")

    def _list(self, prefix: str) -> Iterator[FileMetadata]:
        for path in self.root.rglob("*"):
            name = f"bucket://{path.relative_to(self.root).as_posix()}"
            if path.is_file() and name.startswith(prefix):
                yield FileMetadata(name, path.stat().st_size, 0)


class Exported:
    """A data set, a model and the captioner made of them."""

    def __init__(self, data: Dataset, model: Captioner, folder: Path) -> None:
        self.data, self.model, self.folder = data, model, folder
        captioners.write(folder, data, model, examples=EXAMPLES)
        self.graph = tf.saved_model.load(folder / "saved_model")

    def call(self, signature: str, **inputs: object) -> dict[str, np.ndarray]:
        tensors = {name: tf.constant(value) for name, value in inputs.items()}
        outputs = self.graph.signatures[signature](**tensors)
        return {name: value.numpy() for name, value in outputs.items()}


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("words")
    data = captioners.dataset(folder / "data", captioners.encoder_file(folder / "cnn.keras"))
    model = captioners.model(data, captioners.configuration())
    return Exported(data, model, folder / "captioner")


@pytest.fixture(scope="module")
def chinese(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("chinese")
    data = captioners.dataset(folder / "data", "none", CHINESE, "jieba")
    settings = captioners.configuration(convolutions=(4, 6), pixels=16, decoder="gru")
    return Exported(data, captioners.model(data, settings), folder / "captioner")


@pytest.mark.parametrize(("images", "width", "penalty"), [(5, 3, 0.7), (1, 1, 0.0)])
def test_says_what_the_model_says(words: Exported, images: int, width: int, penalty: float) -> None:
    features = np.random.default_rng(0).normal(size=(images, 4, 4, 6)).astype(np.float16)
    wanted, scores = captioners.spell(words.model, words.data, features, width, penalty)
    found = words.call(
        "caption_features",
        features=features.astype(np.float32),
        beam_width=width,
        length_penalty=penalty,
    )
    assert [[caption.decode() for caption in row] for row in found["captions"]] == wanted
    np.testing.assert_allclose(found["scores"], scores, rtol=1e-5)
    assert found["caption"].tolist() == found["captions"][:, 0].tolist()
    np.testing.assert_array_equal(found["score"], found["scores"][:, 0])


def test_pixels_take_the_way_of_the_training_features(words: Exported) -> None:
    pixels = captioners.pictures(3)
    encoder = export.load_encoder(words.data)
    assert encoder is not None
    stored = encoder.encode(pixels).astype(np.float16)
    found = words.call("encode", pixels=pixels)["features"]
    # One float16 step at most, where float32 results of two batch sizes straddle a boundary.
    np.testing.assert_allclose(found, stored.astype(np.float32), rtol=1e-3)
    wanted, _ = captioners.spell(words.model, words.data, found, 2, 0.7)
    said = words.call("caption_pixels", pixels=pixels, beam_width=2, length_penalty=0.7)
    assert [[caption.decode() for caption in row] for row in said["captions"]] == wanted


def test_files_are_captioned_like_their_pixels(words: Exported) -> None:
    files = captioners.jpegs(4)
    pixels = np.stack([images.decode(file, Form(captioners.SIZE)).pixels for file in files])
    by_file = words.call("serving_default", images=files)
    settings = words.model.configuration
    by_pixels = words.call(
        "caption_pixels",
        pixels=pixels,
        beam_width=settings.beam_width,
        length_penalty=settings.length_penalty,
    )
    assert by_file["captions"].tolist() == by_pixels["captions"].tolist()
    np.testing.assert_allclose(by_file["scores"], by_pixels["scores"], atol=0.01)


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_the_graph_stores_pictures_as_pillow_does(subsampling: str) -> None:
    from trainer.serving import decode

    like = Stored(48, 40, 70, subsampling)
    picture = Image.fromarray(captioners.pictures(1, (60, 72))[0])
    for size, kind in (((60, 72), "PNG"), ((60, 72), "JPEG"), ((40, 50), "JPEG")):
        buffer = io.BytesIO()
        picture.resize((size[1], size[0])).save(buffer, kind, quality=70, subsampling=subsampling)
        wanted = images.decode(buffer.getvalue(), Form((24, 32), like)).pixels
        found = decode(tf.constant(buffer.getvalue()), (24, 32), like).numpy()
        # Where a value of the JPEG is rounded to another, its block is.
        assert np.abs(found.astype(int) - wanted.astype(int)).mean() < 0.2
        plain = decode(tf.constant(buffer.getvalue()), (24, 32)).numpy()
        # What is stored so already is left as it is.
        assert np.array_equal(found, plain) == (size == (40, 50))


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P"])
def test_the_graph_decodes_as_pillow_does(mode: str) -> None:
    from trainer.serving import decode

    size = (24, 32)
    picture = Image.fromarray(captioners.pictures(1, (60, 50))[0])
    if mode.endswith("A"):
        picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    buffer = io.BytesIO()
    picture.convert(mode).save(buffer, "PNG")
    wanted = images.decode(buffer.getvalue(), Form(size)).pixels
    found = decode(tf.constant(buffer.getvalue()), size).numpy()
    assert np.abs(found.astype(int) - wanted.astype(int)).max() <= 1


def test_chinese_is_joined_without_blanks_except_between_latin_words(chinese: Exported) -> None:
    pixels = captioners.pictures(8)
    wanted, _ = captioners.spell(chinese.model, chinese.data, pixels, 4, 0.7)
    said = chinese.call("caption_pixels", pixels=pixels, beam_width=4, length_penalty=0.7)
    captions = [caption.decode() for row in said["captions"] for caption in row]
    assert captions == [caption for row in wanted for caption in row]
    assert any(re.search("[狗草地上白色跑]{3}", caption) for caption in captions)
    assert any(re.search("(tv|ok) (tv|ok)", caption) for caption in captions)


def test_a_beam_without_hypotheses_is_refused(words: Exported) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="beam_width must be at least 1"):
        words.call(
            "caption_pixels", pixels=captioners.pictures(1), beam_width=0, length_penalty=0.0
        )


def test_the_card_s_program_runs_without_our_code(words: Exported) -> None:
    card = (words.folder / "MODEL_CARD.md").read_text()
    (program,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    (words.folder.parent / "photo.jpg").write_bytes(captioners.jpegs(1)[0])
    program += 'import sys\nassert not {"pipeline", "trainer", "transforms"} & set(sys.modules)\n'
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=words.folder.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    said = words.call("serving_default", images=captioners.jpegs(1))
    assert run.stdout.startswith(said["caption"][0].decode())


def test_the_manifest_holds_and_the_weights_come_back(words: Exported) -> None:
    manifest = contract.read_manifest(str(words.folder))
    files = {p.relative_to(words.folder).as_posix() for p in words.folder.rglob("*") if p.is_file()}
    assert set(manifest["files"]) == files - {"captioner.json"}
    assert manifest["text"] == words.data.text
    assert json.loads((words.folder / "history.json").read_text()) == captioners.HISTORY
    settings = Configuration.from_dict(manifest["configuration"])
    assert settings == words.model.configuration
    decoder = manifest["decoder"]
    again = Captioner(settings, decoder["vocabulary_size"], decoder["feature_shape"])
    again.load_weights(words.folder / "weights.weights.h5")
    for one, other in zip(again.trainable_variables, words.model.trainable_variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_the_page_shows_names_that_are_not_text(words: Exported) -> None:
    assert r"caf\udce9.jpg" in (words.folder / "training.html").read_text("utf-8")


def test_the_same_model_gives_the_same_bytes(words: Exported, tmp_path: Path) -> None:
    captioners.write(tmp_path / "captioner", words.data, words.model, examples=EXAMPLES)
    first, second = (
        contract.read_manifest(str(folder)) for folder in (words.folder, tmp_path / "captioner")
    )
    assert first["files"] == second["files"]
    assert contract.digest(first) == contract.digest(second)


def test_a_failed_export_leaves_the_old_captioner(
    words: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "captioner"
    folder.mkdir()
    (folder / "captioner.json").write_text("old")
    saves = tf.saved_model.save

    def killed(*args: object, **kwargs: object) -> None:
        saves(*args, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(tf.saved_model, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        captioners.write(folder, words.data, words.model)
    assert [p.name for p in tmp_path.iterdir()] == ["captioner"]
    assert (folder / "captioner.json").read_text() == "old"


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let exports write two small files."""

    def write(folder: Path, *_: object) -> None:
        (folder / "saved_model").mkdir()
        (folder / "saved_model" / "saved_model.pb").write_text("new")
        (folder / "captioner.json").write_text("new")

    monkeypatch.setattr(export, "_write", write)


@pytest.mark.usefixtures("brief")
def test_a_kill_between_the_renames_leaves_no_manifest(
    words: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "captioner.json").write_text("old")
    (tmp_path / "saved_model").mkdir()
    rename = Path.rename

    def killed(self: Path, target: Path) -> Path:
        if self.name == contract.MANIFEST:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        captioners.write(tmp_path, words.data, words.model)
    assert (tmp_path / "saved_model" / "saved_model.pb").exists()
    assert not (tmp_path / "captioner.json").exists()


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize("name", [".", "../link"])
def test_the_folder_itself_is_never_renamed(
    words: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """It may be the working directory, a mount or a link, or below what others own."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to("disk")
    (tmp_path / "disk" / "thesis.txt").write_text("mine")
    inode = (tmp_path / "disk").stat().st_ino
    monkeypatch.chdir(tmp_path / "disk")
    captioners.write(name, words.data, words.model)
    assert Path("captioner.json").read_text() == "new"
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "disk").stat().st_ino == inode
    assert {path.name for path in tmp_path.iterdir()} == {"disk", "link"}
    assert Path("thesis.txt").read_text() == "mine"


def test_what_else_is_in_the_folder_stays(words: Exported, tmp_path: Path) -> None:
    folder = tmp_path / "captioner"
    (folder / "logs").mkdir(parents=True)
    (folder / "logs" / "events").write_text("log")
    (folder / "saved_model").mkdir()
    (folder / "saved_model" / "stale").write_text("stale")
    captioners.write(folder, words.data, words.model)
    assert (folder / "logs" / "events").read_text() == "log"
    assert not (folder / "saved_model" / "stale").exists()
    manifests.read(str(folder), contract.MANIFEST, contract.FORMAT, contract.REMEDY)


def test_exports_to_a_bucket_and_is_loaded_from_it(words: Exported, tmp_path: Path) -> None:
    Bucket.root = tmp_path
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "captioner.json").write_text("old")
    captioners.write("bucket://models", words.data, words.model)
    stored, kept = map(contract.read_manifest, ("bucket://models", str(words.folder)))
    assert contract.digest(stored) == contract.digest(kept)
    pixels = captioners.pictures(2)
    there, here = (
        Captioners([folder], batch_size=2, engine="tensorflow")
        for folder in ("bucket://models", str(words.folder))
    )
    options = SearchOptions()
    found = there.search(there.encode([pixels]), options)
    assert found == here.search(here.encode([pixels]), options)


def test_refuses_features_of_another_encoder(words: Exported, tmp_path: Path) -> None:
    manifest = words.data.manifest | {"encoder": words.data.encoder | {"digest": "0" * 64}}
    (tmp_path / "dataset.json").write_text(json.dumps(manifest))
    (tmp_path / "vocabulary.txt").write_text(words.data.vocabulary.to_text())
    with pytest.raises(UsageError, match="the data set was made by another"):
        export.load_encoder(open_dataset(tmp_path))
