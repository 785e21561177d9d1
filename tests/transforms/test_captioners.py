"""Captions of a captioner or several, as the commands get them."""

from pathlib import Path

import keras
import numpy as np

from tests import captioners
from trainer import finetuning
from trainer.model import Captioner
from transforms import encoders, files
from transforms.captioners import Captioners
from transforms.dataset import open_dataset
from transforms.search import SearchOptions
from transforms.stored import Form


def test_attention_has_the_shape_of_a_cut_encoder_s_last_map(tmp_path: Path) -> None:
    pixels = keras.Input((*captioners.SIZE, 3))
    low = keras.layers.Conv2D(6, 8, 8, activation="relu", name="low")(pixels)
    file = str(tmp_path / "cnn.keras")
    keras.Model(pixels, keras.layers.Conv2D(5, (3, 2), name="high")(low)).save(file)
    manifest = captioners.dataset(tmp_path / "data", file).manifest
    facts = encoders.load(file, features="low").describe()
    assert (facts["output_shape"], facts["rest"]["output_shape"]) == ([4, 4, 6], [2, 3, 5])
    manifest["encoder"] = facts | {"dtype": "float16"}
    files.write_json(str(tmp_path / "data" / "dataset.json"), manifest)
    data = open_dataset(tmp_path / "data")
    settings, rest = captioners.configuration(), finetuning.load_rest(data)
    model = Captioner(settings, len(data.vocabulary), data.feature_shape, rest)
    captioners.write(tmp_path / "captioner", data, model)
    loaded = Captioners([str(tmp_path / "captioner")], engine="tensorflow")
    found = loaded.search(loaded.encode([captioners.pictures(1)]), SearchOptions(), attend=True)[0][
        0
    ]
    assert found.attention is not None
    assert found.attention.shape == (len(found.words), 2, 3)


def test_a_caption_does_not_depend_on_its_batch(tmp_path: Path) -> None:
    data = captioners.dataset(tmp_path / "data", "none")
    settings = captioners.configuration(convolutions=(4, 6), pixels=16)
    captioners.write(tmp_path / "captioner", data, captioners.model(data, settings))
    loaded = Captioners([str(tmp_path / "captioner")], batch_size=4, engine="tensorflow")
    assert loaded.forms == [Form(captioners.SIZE)]
    pixels = captioners.pictures(6)
    options = SearchOptions(beam_width=3)
    together = loaded.search(loaded.encode([pixels]), options)
    alone = [loaded.search(loaded.encode([picture[None]]), options)[0] for picture in pixels]
    assert [len(found) for found in together] == [3] * 6
    for one, other in zip(together, alone, strict=True):
        assert [caption.caption for caption in one] == [caption.caption for caption in other]
        # A row's last bit may depend on its place in the batch.
        np.testing.assert_allclose([c.score for c in one], [c.score for c in other], rtol=1e-5)
    assert loaded.search(loaded.encode([pixels[:0]]), options) == []
