import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests import captioners
from tests.trainer import toy
from trainer import finetuning, fit, runs, task, warm_start
from trainer.configuration import Configuration
from trainer.model import Captioner
from transforms import captioner, encoders, files
from transforms.commandline import Exit
from transforms.dataset import open_dataset
from transforms.errors import UsageError
from transforms.text import RESERVED, START, Vocabulary

SMALL = ["--units=12", "--embedding=8", "--hidden=10", "--attention_units=6", "--batch_images=4"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return toy.dataset(tmp_path_factory.mktemp("toy") / "data")


@pytest.fixture(scope="module")
def known(data, tmp_path_factory):
    """Return a captioner's folder and its model, untrained but outspoken."""
    model = captioners.model(data, captioners.configuration())
    folder = tmp_path_factory.mktemp("known") / "captioner"
    captioners.write(folder, data, model)
    return str(folder), model


def _next_words(model: Captioner, vocabulary: Vocabulary, said: str) -> np.ndarray:
    """Return the logits of what follows a word."""
    memory = model.prepare(tf.constant(toy.features(1, (4, 4, 6))))
    state = [[tf.expand_dims(s, 1) for s in layer] for layer in model.initial_state(memory)]
    for token in (START, vocabulary.tokens.index(said)):
        logits, state, _ = model.step(tf.constant([[token]]), state, memory)
    return logits[0, 0].numpy()


@pytest.mark.parametrize("tie", [False, True])
def test_words_keep_what_they_learned_wherever_they_stand(tmp_path, data, known, tie):
    folder, model = known
    settings = {"tie": tie, **({"hidden": 8} if tie else {})}
    if tie:
        model = captioners.model(data, captioners.configuration(**settings))
        captioners.write(folder := str(tmp_path / "tied"), data, model)
    words = ("cat", *reversed(captioners.WORDS[1:]))  # One is new, and "a" is unknown.
    other = captioners.dataset(tmp_path / "other", data.encoder["name"], words)
    configuration = captioners.configuration(start_from=folder, **settings)
    warm_start.check(configuration, other)
    begun = Captioner(configuration, len(other.vocabulary), other.feature_shape)
    drawn = begun.decoder.embedding.embeddings.numpy()
    assert warm_start.initialise(begun, folder, other) == len(RESERVED) + len(words) - 1
    before = _next_words(model, data.vocabulary, "red")
    after = _next_words(begun, other.vocabulary, "red")
    shared = [*RESERVED, *words[1:]]
    np.testing.assert_allclose(
        after[[other.vocabulary.tokens.index(word) for word in shared]],
        before[[data.vocabulary.tokens.index(word) for word in shared]],
        rtol=1e-5,
        atol=1e-6,
    )
    new = other.vocabulary.tokens.index("cat")
    np.testing.assert_array_equal(begun.decoder.embedding.embeddings.numpy()[new], drawn[new])


def test_the_start_is_kept_where_nothing_surpasses_it(tmp_path, data, known):
    folder, model = known
    output = tmp_path / "out"
    # Self-critical steps of this length ruin any captioner.
    ruinous = ["--epochs=0", "--scst_epochs=1", "--scst_learning_rate=9", "--clip_norm=0"]
    flags = [f"--dataset={data.folder}", f"--output={output}", f"--start_from={folder}"]
    # The decoder is as small as that captioner's, without a flag.
    assert task.main([*flags, "--batch_images=4", *ruinous, "--averaging=0"]) == Exit.DONE
    manifest = json.loads((output / "captioner.json").read_text())
    assert manifest["metrics"]["epoch"] == 0
    # A run that was killed is not continued from what somebody made of the captioner since.
    # One that has ended asks nobody any more.
    begun_with = Path(folder)
    away = begun_with.rename(tmp_path / "away")
    assert task.main([*flags, "--batch_images=4", *ruinous, "--averaging=0"]) == Exit.DONE
    away.rename(begun_with)
    assert manifest["configuration"]["start_from"] == "captioner"
    configuration = dataclasses.replace(_configuration(manifest), start_from=folder)
    run = runs.identity(configuration, data, {"start_from": "other"})
    with pytest.raises(UsageError, match="began with another captioner"):
        runs.claim(str(output), run)
    assert "the start" in (output / "training.html").read_text()
    # The card tells which captioner it was, and no path of this machine.
    card = (output / "MODEL_CARD.md").read_text()
    assert "--start_from=captioner" in card and folder not in card
    digest = captioner.digest(captioner.read_manifest(folder))
    assert f"another captioner, captioner (digest {digest[:12]})" in card
    assert "the epoch (none: it is what the training began with)" in card
    begun = Captioner(model.configuration, len(data.vocabulary), data.feature_shape)
    warm_start.initialise(begun, str(output), data)
    for kept, first in zip(begun.weights, model.weights, strict=True):
        np.testing.assert_array_equal(kept.numpy(), first.numpy())


def _configuration(manifest):
    return Configuration.from_dict(manifest["configuration"])


def test_fine_tuning_begins_with_a_captioner_of_the_whole_cnn(tmp_path):
    cut = toy.cut_dataset(tmp_path / "cut")
    whole = captioners.dataset(tmp_path / "whole", cut.encoder["name"])
    facts = encoders.load(cut.encoder["name"], features="grid").describe()
    whole.manifest["encoder"] = facts | {"dtype": "float16"}
    files.write_json(str(tmp_path / "whole" / "dataset.json"), whole.manifest)
    whole = open_dataset(tmp_path / "whole")
    model = captioners.model(whole, captioners.configuration())
    captioners.write(tmp_path / "known", whole, model)
    configuration = captioners.configuration(start_from=str(tmp_path / "known"))
    warm_start.check(configuration, cut)
    begun = fit.begin(cut, configuration)
    for kept, first in zip(begun.decoder.weights, model.decoder.weights, strict=True):
        np.testing.assert_array_equal(kept.numpy(), first.numpy())
    rest = finetuning.load_rest(cut)
    for kept, first in zip(begun.encoder.weights, rest.weights, strict=True):
        np.testing.assert_array_equal(kept.numpy(), first.numpy())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--units=16"], "its decoder is another: it has --units=12"),
        (["--word_vectors=any.txt"], "leave out --word_vectors"),
        (["--epochs=0"], "for --start_from with --scst_epochs"),
        (["--start_from=nowhere"], "trainer.task"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(
    tmp_path, data, known, flags, message
):
    output = tmp_path / "out"
    common = [f"--dataset={data.folder}", f"--output={output}", f"--start_from={known[0]}"]
    with pytest.raises(UsageError, match=message):
        task.main([*common, *SMALL, *flags])
    assert not output.exists()


def test_other_words_and_other_encoders_are_refused(tmp_path, data, known):
    configuration: Configuration = captioners.configuration(start_from=known[0])
    chinese = captioners.dataset(tmp_path / "zh", data.encoder["name"], ("狗", "猫"))
    with pytest.raises(UsageError, match="another language"):
        warm_start.check(configuration, chinese)
    pixels = captioners.dataset(tmp_path / "pixels", "none")
    with pytest.raises(UsageError, match=r"preprocess with the same --encoder"):
        warm_start.check(configuration, pixels)
    cut = toy.cut_dataset(tmp_path / "cut")
    with pytest.raises(UsageError, match=r"preprocess with the same --encoder"):
        warm_start.check(configuration, cut)
