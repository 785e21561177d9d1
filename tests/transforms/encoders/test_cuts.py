"""Networks cut in two: both halves together are the whole."""

from pathlib import Path

import keras
import numpy as np
import pytest

from transforms import encoders
from transforms.errors import UsageError


def test_the_halves_of_a_lite_are_the_whole() -> None:
    lower = encoders.load("efficientnet-lite0", features="block10", batch_size=2)
    rest = encoders.rest("efficientnet-lite0", cut="block10")
    assert (lower.features, lower.output_shape) == ("block10", (14, 14, 112))
    assert lower.describe()["rest"] == encoders.describe_rest(rest)
    assert rest.output_shape == (None, 7, 7, 1280)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    whole = encoders.load("efficientnet-lite0", batch_size=2)
    assert "rest" not in whole.describe() and whole.digest != lower.digest
    expected, middle = whole.encode(pixels), lower.encode(pixels)
    np.testing.assert_allclose(rest(middle).numpy(), expected, atol=1e-5)
    # What storing the map in float16 costs is less than what storing the grid so would.
    stored = rest(middle.astype(np.float16).astype(np.float32)).numpy()
    assert np.abs(stored - expected).max() < np.abs(expected.astype(np.float16) - expected).max()
    # Only the convolutions above the cut are in the rest.
    assert rest.count_params() == 2_657_312


def test_unknown_cuts_are_refused_with_those_there_are() -> None:
    blocks = ", ".join(f"block{number}" for number in range(16))
    for refuse in (encoders.check, encoders.load):
        with pytest.raises(UsageError, match=f"'block16': use grid, pooled, {blocks}$"):
            refuse("efficientnet-lite0", features="block16")


def test_a_network_is_cut_only_where_all_goes_through(tmp_path: Path) -> None:
    layers = keras.layers
    pixels = keras.Input((32, 32, 3), name="pixels")
    stem = layers.Conv2D(4, 8, 8, name="stem")(pixels)
    side = layers.Conv2D(4, 1, name="side")(stem)
    joined = layers.Add(name="joined")([stem, side])
    counted = layers.Conv2D(4, 1)(joined)
    keras.Model(pixels, layers.Conv2D(5, 1, name="top")(counted)).save(tmp_path / "own.keras")
    name = str(tmp_path / "own.keras")
    picture = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
    for cut in ("stem", "joined"):
        lower, rest = encoders.load(name, features=cut), encoders.rest(name, "file", cut=cut)
        np.testing.assert_allclose(
            rest(lower.encode(picture)).numpy(), encoders.load(name).encode(picture), atol=1e-4
        )
    for cut in ("pixels", "side", "top", "conv2d"):
        with pytest.raises(UsageError, match=r"use grid, pooled, stem, joined$"):
            encoders.check(name, features=cut)


def test_a_network_keeps_its_preprocessing_below_the_cut() -> None:
    cut = "block_13_expand_relu"
    whole = encoders.load("mobilenetv2", "none", seed=3, batch_size=1)
    lower = encoders.load("mobilenetv2", "none", features=cut, seed=3, batch_size=1)
    rest = encoders.rest("mobilenetv2", "none", cut=cut, seed=3)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), dtype=np.uint8)
    expected = whole.encode(pixels)
    np.testing.assert_allclose(
        rest(lower.encode(pixels), training=False).numpy(), expected, atol=1e-4 * expected.max()
    )
