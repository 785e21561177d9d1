"""Engines: each runs the exported graph as the model in Python runs."""

import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest
import tensorflow as tf

from tests import captioners
from trainer.model import Captioner
from trainer.noise import Noise
from transforms import captioner, engines
from transforms.engines import Engine, onnx_files
from transforms.errors import UsageError
from transforms.text import START

BFLOAT16 = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class Exported:
    """A model and the captioner made of it."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        data = captioners.dataset(folder / "data", captioners.encoder_file(folder / "cnn.keras"))
        self.model: Captioner = captioners.model(data, captioners.configuration(**changes))
        self.folder = str(folder / "captioner")
        captioners.write(self.folder, data, self.model)

    def step(self, features: np.ndarray, written: list[np.ndarray]) -> np.ndarray:
        """Return the log-probabilities [B, K, V] after K captions of each image, int [B, K]."""
        memory = self.model.decoder.prepare(tf.constant(features), Noise())
        state = tf.nest.map_structure(
            lambda x: tf.repeat(x[:, None], written[0].shape[1], axis=1),
            self.model.initial_state(memory),
        )
        for tokens in written:
            logits, state, *_ = self.model.step(tf.constant(tokens, tf.int32), state, memory)
        return tf.nn.log_softmax(logits).numpy()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return Exported(tmp_path_factory.mktemp("exported"), decoder="lstm", layers=2)


@pytest.fixture(scope="module", params=list(engines.ENGINES))
def engine(request: pytest.FixtureRequest, exported: Exported) -> Engine:
    return engines.load(exported.folder, request.param)


def test_steps_are_the_model_s(exported: Exported, engine: Engine) -> None:
    features = engine.encode(captioners.pictures(3))
    memory, state = engine.start(features)
    first = engine.step(np.full((3, 1), START, np.int32), state, memory)
    wanted = exported.step(features, [np.full((3, 1), START)])
    np.testing.assert_allclose(first.log_probs, wanted, atol=1e-4)
    # Two hypotheses of the first and of the third image go on, the third image first.
    images = np.array([2, 0], np.int32)
    state = engine.reorder(first.state, images, np.zeros((2, 2), np.int32))
    memory = engine.keep(memory, images)
    second = engine.step(np.array([[4, 5], [6, 7]], np.int32), state, memory)
    # Of each, the better half changes places with the other.
    state = engine.reorder(second.state, np.arange(2), np.array([[1, 0], [1, 1]]))
    third = engine.step(np.array([[6, 8], [4, 9]], np.int32), state, memory)
    start = np.full((2, 2), START)
    wanted = exported.step(
        features[images], [start, np.array([[5, 4], [7, 7]]), np.array([[6, 8], [4, 9]])]
    )
    np.testing.assert_allclose(third.log_probs, wanted, atol=1e-4)


def test_features_are_rounded_as_in_training(exported: Exported, engine: Engine) -> None:
    pixels = captioners.pictures(5)
    features = engine.encode(pixels)
    assert features.dtype in (np.float16, np.float32)
    np.testing.assert_array_equal(features, features.astype(np.float16))
    wanted = engines.load(exported.folder, "tensorflow").encode(pixels)
    # One float16 step at most.
    np.testing.assert_allclose(features, wanted, rtol=1e-3)
    if engine.singly:
        np.testing.assert_array_equal(engine.encode(pixels[3:]), features[3:])


def test_batches_at_a_time_keep_apart(engine: Engine) -> None:
    pixels = captioners.pictures(40)
    batches = [pixels[start : start + 4] for start in range(0, 40, 4)]
    alone = [engine.encode(batch) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        np.testing.assert_array_equal(list(pool.map(engine.encode, batches)), alone)


def test_two_threads_fill_the_cache_once(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def contents(_: int) -> dict[str, bytes]:
        with onnx_files.opened(exported.folder) as place:
            return {path.name: path.read_bytes() for path in place.iterdir()}

    monkeypatch.setenv("BEAMCAP_CACHE", str(tmp_path))
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(contents, range(2))
    assert first == second
    assert set(first) == {"encode.onnx", "prepare.onnx", "step.onnx", "contents.json"}
    (kept,) = (tmp_path / "onnx-2").iterdir()
    made = kept.stat().st_mtime_ns
    assert contents(0) == first and kept.stat().st_mtime_ns == made
    assert [path.name for path in (tmp_path / "onnx-2").iterdir()] == [kept.name]


def test_a_model_has_one_conversion(exported: Exported, tmp_path: Path) -> None:
    def contents(name: str) -> list[bytes]:
        (tmp_path / name).mkdir()
        onnx_files.convert(captioner.load_saved_model(exported.folder), tmp_path / name)
        return [(tmp_path / name / f"{part}.onnx").read_bytes() for part in onnx_files.PARTS]

    assert contents("first") == contents("second")


def test_engines_without_tensorflow(exported: Exported) -> None:
    with onnx_files.opened(exported.folder):
        pass
    captioners.check_light_engines(exported.folder)


@pytest.mark.parametrize("name", list(engines.ENGINES))
def test_a_captioner_of_an_older_version(
    name: str, exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = types.SimpleNamespace(signatures={"caption_pixels": None})
    monkeypatch.setattr(captioner, "load_saved_model", lambda _: older)
    monkeypatch.setenv("BEAMCAP_CACHE", str(tmp_path))
    with pytest.raises(UsageError, match=r"no signature encode; make a captioner with .* again"):
        engines.load(exported.folder, name)


def test_bfloat16_is_close_and_another_model(exported: Exported) -> None:
    if not BFLOAT16:
        # Also in CI: which processor it has is not ours to choose.
        pytest.skip("this processor does not compute in bfloat16")
    pixels = captioners.pictures(5)
    wanted = engines.load(exported.folder, "openvino").encode(pixels)
    # `auto` takes the engine that can.
    found = engines.load(exported.folder, precision="bf16").encode(pixels)
    assert 0 < np.abs(found - wanted).max() < 0.05 * np.abs(wanted).max()
    manifest = captioner.read_manifest(exported.folder)
    whole = engines.digest(exported.folder, manifest)
    assert engines.digest(exported.folder, manifest, "bf16") != whole


def test_bfloat16_is_refused_where_it_cannot_be(
    exported: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    for engine in ("tensorflow", "onnxruntime"):
        message = f"bf16 is not for the engine {engine}: leave out --engine, or give openvino"
        with pytest.raises(UsageError, match=message):
            engines.load(exported.folder, engine, precision="bf16")
    monkeypatch.setattr(openvino.Core, "get_property", lambda *_: ["FP32", "INT8"])
    with pytest.raises(UsageError, match="its processor does not compute in bfloat16"):
        engines.load(exported.folder, precision="bf16")


def test_tensorflow_runs_what_no_cache_can_be_written_for(
    exported: Exported,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("BEAMCAP_CACHE", str(tmp_path / "file"))
    assert engines.resolve("auto", [exported.folder]) == "tensorflow"
    assert "TensorFlow runs it" in capsys.readouterr().err
    with pytest.raises(OSError, match="file"):
        engines.load(exported.folder, "openvino")


def test_an_engine_that_does_not_exist(exported: Exported) -> None:
    with pytest.raises(UsageError, match="there is no engine 'abacus': choose one of"):
        engines.load(exported.folder, "abacus")
