"""Backbones of keras-hub, from presets that are made here: small, and their weights random."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import hub_presets
from tests.hub_presets import MEAN
from transforms import encoders
from transforms.encoders import hub
from transforms.errors import UsageError


@pytest.fixture(scope="module")
def presets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("presets")
    hub_presets.write(folder)
    return folder


def pictures(count: int = 2) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("name", "shape", "prefix"),
    [("clip", (4, 4, 12), 1), ("dino", (4, 4, 12), 5), ("resnet", (4, 4, 8), None)],
)
def test_a_preset_is_an_encoder(
    presets: Path, name: str, shape: tuple[int, ...], prefix: int | None
) -> None:
    import keras_hub

    spec = f"hub:{presets}/{name}"
    encoder = encoders.load(spec)
    assert (encoder.name, encoder.weights, encoder.input_size) == (spec, "file", (32, 32))
    assert encoder.output_shape == shape
    backbone = keras_hub.models.Backbone.from_preset(str(presets / name))
    seeing = getattr(backbone, "vision_encoder", backbone)
    scaled = pictures() / np.float32(255) - np.float32(MEAN)
    # Those that give tokens name their input.
    expected = np.asarray(seeing(scaled if prefix is None else {"images": scaled}))
    if prefix is not None:
        expected = expected[:, prefix:].reshape(2, *shape)
    features = encoder.encode(pictures())
    np.testing.assert_allclose(features, expected, atol=1e-4 * np.abs(expected).max())
    pooled = encoders.load(spec, features="pooled")
    np.testing.assert_allclose(
        pooled.encode(pictures()),
        features.mean(axis=(1, 2)),
        atol=1e-4 * np.abs(expected).max(),
    )
    # Built again, with other names inside, it is the same; with other weights it is not.
    assert encoders.load(spec).digest == encoder.digest
    assert encoders.load(spec, "none", seed=1).digest != encoder.digest


def test_a_backbone_that_ends_in_a_vector_still_has_its_tokens(presets: Path) -> None:
    assert encoders.load(f"hub:{presets}/siglip").output_shape == (4, 4, 12)


def test_a_preset_with_other_code_is_refused(presets: Path, tmp_path: Path) -> None:
    folder = tmp_path / "clip"
    shutil.copytree(presets / "clip", folder)
    config = json.loads((folder / "config.json").read_text())
    config["config"]["vision_encoder"]["module"] = "subprocess"
    config["config"]["vision_encoder"]["class_name"] = "Popen"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UsageError, match=r"uses subprocess\.Popen, which is not a part of Keras"):
        encoders.check(f"hub:{folder}")
    (folder / "config.json").write_text('{"model_type": "clip"}')
    with pytest.raises(UsageError, match="not of keras-hub"):
        encoders.check(f"hub:{folder}")
    (folder / "config.json").unlink()
    with pytest.raises(UsageError, match=r"has no readable config\.json"):
        encoders.check(f"hub:{folder}")


def test_what_is_not_there_is_one_line_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder"):
        encoders.check(f"hub:{tmp_path}/absent")
    with pytest.raises(UsageError, match="cannot be fetched or loaded") as caught:
        encoders.check("hub:no_such_preset")
    assert "\n" not in str(caught.value)


def test_keras_hub_is_imported_only_where_it_is_named() -> None:
    command = (
        "import sys; from transforms import encoders; encoders.load('efficientnet-lite0', 'none');"
        "sys.exit('keras_hub' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", command], check=False).returncode == 0
    assert hub.PREFIX == "hub:"
