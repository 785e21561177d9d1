"""Loaded encoders: what they compute, that it is reproducible, and what is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from transforms import encoders
from transforms.encoders import lite
from transforms.encoders.encoder import Encoder
from transforms.errors import UsageError

BATCH = 4  # A call of the graph computes as many pictures as this, however few are asked for.


@pytest.fixture(scope="module")
def lite0() -> Encoder:
    return encoders.load("efficientnet-lite0", batch_size=BATCH)


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (BATCH + 1, 224, 224, 3), dtype=np.uint8)


def scene(side: int) -> np.ndarray:
    """One fixed picture [1, side, side, 3]: a ramp with a disc in it."""
    rows, columns = (np.mgrid[:side, :side] + 0.5) / side
    disc = (rows - 0.4) ** 2 + (columns - 0.6) ** 2 < 0.06
    planes = (255 * columns, 255 * rows, np.where(disc, 230, 30))
    return np.stack(planes, axis=-1).astype(np.uint8)[None]


# Measured when the same networks named the objects in the sample photographs of scikit-image and
# scikit-learn: Egyptian cat, espresso, palace.
REFERENCE = {
    "efficientnet-lite0": ((7, 7, 1280), 0.124869, 113),
    "efficientnet-lite1": ((8, 8, 1280), 0.119083, 605),
    "efficientnet-lite2": ((9, 9, 1280), 0.116422, 1100),
}


@pytest.mark.parametrize("name", REFERENCE)
def test_the_lite_family_computes_what_it_was_trained_to(name: str) -> None:
    encoder = encoders.load(name.upper())
    shape, mean, largest = REFERENCE[name]
    features = encoder.model(scene(encoder.input_size[0]), training=False).numpy()
    assert encoder.name == name
    assert encoder.output_shape == shape == features.shape[1:]
    assert features.dtype == np.float32
    pooled = features.mean(axis=(0, 1, 2))
    assert pooled.mean() == pytest.approx(mean, rel=1e-3)
    assert pooled.argmax() == largest


def test_features_do_not_depend_on_the_company(lite0: Encoder, noise: np.ndarray) -> None:
    together = lite0.encode(noise)
    assert together.shape == (BATCH + 1, 7, 7, 1280)
    np.testing.assert_array_equal(together[::-1], lite0.encode(noise[::-1]))
    np.testing.assert_array_equal(together[:1], lite0.encode(noise[:1]))
    assert lite0.encode(noise[:0]).shape == (0, 7, 7, 1280)


def test_pooled_features_are_the_mean_of_the_grid(lite0: Encoder, noise: np.ndarray) -> None:
    pooled = encoders.load("efficientnet-lite0", features="pooled", batch_size=BATCH)
    assert pooled.output_shape == (1280,)
    grid = lite0.encode(noise[:2]).mean(axis=(1, 2))
    np.testing.assert_allclose(pooled.encode(noise[:2]), grid, atol=1e-5)
    assert pooled.digest != lite0.digest


def test_the_digest_is_the_same_everywhere(lite0: Encoder) -> None:
    # Anything that changes this line makes every stored feature map stale.
    assert lite0.digest == "5a853ee52594125e052d7ce12b6b1422c8d067eb6965d4a3cfac57f015915d95"
    assert encoders.load("efficientnet-lite0").digest == lite0.digest


def test_the_description_is_json(lite0: Encoder) -> None:
    assert json.loads(json.dumps(lite0.describe())) == {
        "name": "efficientnet-lite0",
        "weights": "imagenet",
        "features": "grid",
        "input_size": [224, 224],
        "output_shape": [7, 7, 1280],
        "digest": lite0.digest,
    }


def test_the_model_can_be_a_part_of_a_saved_model(
    lite0: Encoder, noise: np.ndarray, tmp_path: Path
) -> None:
    pixels = keras.Input((224, 224, 3), dtype="uint8")
    features = lite0.model(pixels)
    whole = keras.Model(pixels, [features, keras.layers.Dense(2)(features)])
    module = tf.Module()
    module.whole = whole
    module.call = tf.function(
        lambda images: whole(images, training=False),
        input_signature=[tf.TensorSpec((None, 224, 224, 3), tf.uint8)],
    )
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    served, projected = loaded.call(noise[:2])
    np.testing.assert_allclose(served, lite0.encode(noise[:2]), atol=1e-4)
    assert projected.shape == (2, 7, 7, 2)


def test_the_model_can_be_trained(lite0: Encoder, noise: np.ndarray) -> None:
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(lite0.model(noise[:1], training=False) ** 2)
    weights = [weight.value for weight in lite0.model.trainable_weights]
    gradients = tape.gradient(loss, weights)
    assert len(weights) == 2 * 49  # a kernel and a bias for each convolution
    assert all(float(tf.reduce_max(tf.abs(gradient))) > 0 for gradient in gradients)


def test_random_weights_come_from_the_seed() -> None:
    one, same, other = (
        encoders.load("efficientnet-lite0", "none", seed=seed) for seed in (1, 1, 2)
    )
    assert one.digest == same.digest != other.digest
    features = one.model(scene(224), training=False).numpy()
    assert np.isfinite(features).all() and features.std() > 1e-3


@pytest.mark.parametrize("name", ["mobilenetv2", "RESNET50", "MobileNetV3Small"])
def test_applications_bring_their_own_preprocessing(name: str) -> None:
    modules = {
        "mobilenetv2": keras.applications.mobilenet_v2,
        "RESNET50": keras.applications.resnet,
        "MobileNetV3Small": keras.applications.mobilenet_v3,
    }
    encoder = encoders.load(name, "none")
    assert encoder.name in ("MobileNetV2", "ResNet50", "MobileNetV3Small")
    assert encoder.input_size == (224, 224) and len(encoder.output_shape) == 3
    inner = next(layer for layer in encoder.model.layers if isinstance(layer, keras.Model))
    picture = scene(224)
    prepared = modules[name].preprocess_input(picture.astype(np.float32))
    expected = inner(prepared, training=False).numpy()
    scale = np.abs(expected).max()
    features = encoder.model(picture, training=False).numpy()
    np.testing.assert_allclose(features / scale, expected / scale, atol=1e-4)


def test_applications_know_their_input_size() -> None:
    assert encoders.load("efficientnetb1", "none", features="pooled").input_size == (240, 240)


def test_a_failed_download_names_the_remedy(tmp_path: Path) -> None:
    command = "from transforms import encoders; encoders.check('mobilenetv2', 'imagenet')"
    nowhere = {"KERAS_HOME": str(tmp_path), "https_proxy": "http://127.0.0.1:9"}
    run = subprocess.run(
        [sys.executable, "-c", command],
        capture_output=True,
        text=True,
        env={**os.environ, **nowhere, "no_proxy": ""},
    )
    message = run.stderr.strip().splitlines()[-1]
    assert "UsageError: encoder MobileNetV2" in message and "--encoder_weights" in message


def test_weights_from_a_file(tmp_path: Path) -> None:
    source = encoders.load("mobilenetv2", "none", seed=5)
    path = tmp_path / "cnn.weights.h5"
    source.model.layers[-1].save_weights(path)
    encoder = encoders.load("mobilenetv2", str(path))
    assert encoder.weights == str(path) and encoder.digest == source.digest
    with pytest.raises(UsageError, match=r"cnn\.weights\.h5: cannot be used for"):
        encoders.load("efficientnet-lite0", str(path))
    path.write_bytes(b"rubbish")
    with pytest.raises(UsageError, match=r"cnn\.weights\.h5: cannot be used for"):
        encoders.load("mobilenetv2", str(path))


def test_weights_of_another_lite_do_not_fit(lite0: Encoder) -> None:
    own = encoders.load("efficientnet-lite0", str(lite.weights_file("efficientnet-lite0")))
    assert own.digest == lite0.digest
    with pytest.raises(UsageError, match="cannot be used for efficientnet_lite2"):
        encoders.load("efficientnet-lite2", str(lite.weights_file("efficientnet-lite0")))


def saved(path: Path, *layers: Any, shape: Any = (32, 48, 3)) -> str:
    keras.Sequential([keras.Input(shape), *layers]).save(path)
    return str(path)


def test_a_model_file_is_an_encoder(tmp_path: Path) -> None:
    name = saved(tmp_path / "own.keras", keras.layers.Conv2D(4, 3, strides=16))
    encoder = encoders.load(name)
    assert (encoder.name, encoder.weights) == (name, "file")
    assert (encoder.input_size, encoder.output_shape) == ((32, 48), (2, 3, 4))
    picture = np.ones((1, 32, 48, 3), np.uint8)
    expected = keras.saving.load_model(name)(picture.astype(np.float32)).numpy()
    np.testing.assert_allclose(encoder.encode(picture), expected, atol=1e-5)
    assert encoders.load(name, features="pooled").output_shape == (4,)
    elsewhere = tmp_path / "moved.keras"
    elsewhere.write_bytes(Path(name).read_bytes())
    assert encoders.load(str(elsewhere)).digest == encoder.digest
    assert encoders.load(name, "none", seed=1).digest != encoder.digest


def test_a_model_file_with_vectors_has_pooled_features_only(tmp_path: Path) -> None:
    name = saved(tmp_path / "own.keras", keras.layers.Flatten(), keras.layers.Dense(5))
    assert encoders.load(name, features="pooled").output_shape == (5,)
    with pytest.raises(UsageError, match="use pooled features"):
        encoders.load(name)


def test_code_in_a_model_file_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEAMCAP_WITNESS", "unset")
    witness = keras.layers.Lambda(
        lambda x: [__import__("os").environ.update(BEAMCAP_WITNESS="run"), x][1]
    )
    name = saved(tmp_path / "own.keras", witness)
    assert os.environ["BEAMCAP_WITNESS"] == "run"
    monkeypatch.setenv("BEAMCAP_WITNESS", "unset")
    for refuse in (encoders.check, encoders.load):
        with pytest.raises(UsageError, match="has a Lambda layer"):
            refuse(name)
    assert os.environ["BEAMCAP_WITNESS"] == "unset"


@keras.saving.register_keras_serializable(package="elsewhere")
class Custom(keras.layers.Layer):
    def call(self, inputs: Any) -> Any:
        return inputs


def test_model_files_that_cannot_serve_are_refused(tmp_path: Path) -> None:
    custom = saved(tmp_path / "custom.keras", Custom())
    with pytest.raises(UsageError, match="not a part of Keras"):
        encoders.check(custom)
    with pytest.raises(UsageError, match=r"absent\.keras: no such file"):
        encoders.check(str(tmp_path / "absent.keras"))
    rubbish = tmp_path / "rubbish.keras"
    rubbish.write_bytes(b"rubbish")
    with pytest.raises(UsageError, match="no Keras model"):
        encoders.check(str(rubbish))
    anysize = saved(tmp_path / "any.keras", keras.layers.Conv2D(4, 3), shape=(None, None, 3))
    with pytest.raises(UsageError, match="one input"):
        encoders.load(anysize)
    cube = saved(tmp_path / "cube.keras", keras.layers.Reshape((32, 144)))
    with pytest.raises(UsageError, match="one output"):
        encoders.load(cube)
