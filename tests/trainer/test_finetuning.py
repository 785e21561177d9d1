"""Fine-tuning of a CNN's upper blocks: when, how fast, and that the export has them."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.trainer import toy
from trainer import export, finetuning
from trainer.examples import DatasetExamples
from trainer.finetuning import Optimiser
from trainer.loop import Trainer
from trainer.model import Captioner
from trainer.noise import Noise
from trainer.phases import CROSS_ENTROPY
from trainer.self_critical import SELF_CRITICAL, SelfCritical
from trainer.updates import Updates
from transforms import encoders
from transforms.dataset import Dataset
from transforms.errors import UsageError

RATE = 0.5


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return toy.cut_dataset(tmp_path_factory.mktemp("cut") / "dataset")


def captioner(data: Dataset, **changes: object) -> Captioner:
    settings = toy.configuration(cnn_learning_rate=RATE, **changes)
    return Captioner(settings, len(data.vocabulary), data.feature_shape, finetuning.load_rest(data))


def cnn(model: Captioner) -> list[np.ndarray]:
    return [variable.numpy() for variable in model.finetuned_variables]


def trainer(data: Dataset, folder: Path, **changes: object) -> tuple[Trainer, list]:
    """Return a trainer, and the CNN's weights as they are when it evaluates."""
    model = captioner(data, averaging=0.0, **changes)
    seen: list = []

    def evaluate() -> float:
        seen.append(cnn(model))
        return 0.0  # Of epochs that score nothing the last is kept.

    return Trainer(model, DatasetExamples(data, "train"), evaluate, str(folder)), seen


def test_the_cnn_learns_from_its_epoch_on_also_in_a_run_that_was_killed(
    data: Dataset, tmp_path: Path
) -> None:
    before = cnn(captioner(data))
    assert [weight.shape for weight in before] == [(3, 3, 6, 5), (5,)]
    phases = {"epochs": 2, "scst_epochs": 2, "finetune_from_epoch": 1, "scst_samples": 2}
    # Samples of what has hardly learned earn nothing: the captions give the gradients.
    phases |= {"scst_finetune": True, "scst_cross_entropy": 0.5}
    whole, seen = trainer(data, tmp_path / "whole", **phases)
    whole.run()
    np.testing.assert_array_equal(seen[0][0], before[0])
    assert not np.array_equal(seen[1][0], seen[0][0])
    killed, _ = trainer(data, tmp_path / "killed", **phases)
    phase = killed._phases[1]
    step, calls = phase.step, iter(range(4))

    def dying(*arguments: object) -> object:
        # Twelve images in batches of four: in the second epoch of self-critical training.
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return step(*arguments)

    phase.step = dying
    with pytest.raises(KeyboardInterrupt):
        killed.run()
    continued, _ = trainer(data, tmp_path / "killed", **phases)
    continued.run()
    assert not np.array_equal(seen[3][0], seen[2][0])
    weights = (run._updates.weights for run in (continued, whole))
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_first_step_of_a_cnn_that_joins_late_has_its_own_length(data: Dataset) -> None:
    model = captioner(data)
    optimiser = Optimiser(model)
    before = cnn(model)

    def step() -> None:
        gradients = [tf.ones_like(variable) for variable in optimiser.learning]
        optimiser.apply(gradients, tf.constant(0.01))

    for _ in range(20):
        step()
    np.testing.assert_array_equal(cnn(model)[0], before[0])
    model.finetuning = True
    step()
    # Adam's first step is as long as the learning rate, whatever the gradient.
    np.testing.assert_allclose(before[0] - cnn(model)[0], 0.01 * RATE, rtol=1e-3)


def test_only_a_cnn_that_learns_is_in_the_gradient(data: Dataset) -> None:
    model = captioner(data)
    features = tf.constant(toy.features(2, (4, 4, 6)))
    for finetuning_ in (False, True):
        model.finetuning = finetuning_
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(model.encode(features))
        gradients = tape.gradient(total, [v.value for v in model.finetuned_variables])
        assert [gradient is not None for gradient in gradients] == [finetuning_] * 2
    assert not captioner(data).configuration.finetunes(1)
    assert captioner(data).configuration.finetunes(2)
    assert not toy.configuration(cnn_learning_rate=0.0).finetunes(9)
    assert not captioner(data).configuration.finetunes(2, self_critical=True)
    assert toy.configuration(scst_finetune=True).finetunes(2, self_critical=True)


def test_the_export_encodes_with_the_blocks_as_they_learned(data: Dataset, tmp_path: Path) -> None:
    model = captioner(data)
    for variable in model.finetuned_variables:
        variable.assign_add(tf.ones_like(variable))
    metrics = {"split": "dev", "epoch": 1, "scores": {"CIDEr": 0.25}}
    export.export(
        str(tmp_path / "captioner"),
        model=model,
        dataset=data,
        configuration=model.configuration,
        metrics=metrics,
        history=[],
    )
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    served = tf.saved_model.load(str(tmp_path / "captioner" / "saved_model"))
    grid = served.signatures["encode"](pixels=tf.constant(pixels))["features"]
    lower = encoders.load(data.encoder["name"], features="low")
    stored = lower.encode(pixels).astype(np.float16).astype(np.float32)
    assert model.encoder is not None
    np.testing.assert_allclose(grid, model.encoder(stored), rtol=1e-4, atol=1e-4)
    width, penalty = tf.constant(2), tf.constant(0.7)
    one = served.signatures["caption_pixels"](
        pixels=tf.constant(pixels), beam_width=width, length_penalty=penalty
    )
    other = served.signatures["caption_features"](
        features=grid, beam_width=width, length_penalty=penalty
    )
    np.testing.assert_array_equal(one["captions"], other["captions"])


def exported_as_fine_tuned(data: Dataset, model: Captioner, history: list, folder: Path) -> bool:
    metrics = {"split": "dev", "epoch": history[-1]["epoch"], "scores": {"CIDEr": 0.25}}
    export.export(
        str(folder),
        model=model,
        dataset=data,
        configuration=model.configuration,
        metrics=metrics,
        history=history,
    )
    return json.loads((folder / "captioner.json").read_text())["encoder"]["finetuned"]


def test_a_cnn_is_fine_tuned_where_its_weights_are_others(data: Dataset, tmp_path: Path) -> None:
    # It learned in the third epoch, but none was better than what the training began with: from
    # that, self-critical training went on.
    facts = {"loss": 1.0, "reward": 0.5, "learning_rate": 0.1}
    facts |= {"tokens_per_second": 1.0, "seconds": 1.0}
    phases = 3 * [CROSS_ENTROPY] + [SELF_CRITICAL]
    history = [
        {"epoch": n, "phase": phase, "dev_cider": n / 10, **facts}
        for n, phase in enumerate(phases, 1)
    ]
    model = captioner(data)
    assert model.configuration.finetunes(2)
    assert not exported_as_fine_tuned(data, model, history, tmp_path / "as it was")
    model.finetuned_variables[0].assign_add(tf.ones_like(model.finetuned_variables[0]))
    assert exported_as_fine_tuned(data, model, history, tmp_path / "learned")


def test_other_upper_blocks_than_those_of_the_data_set_are_refused(data: Dataset) -> None:
    facts = data.encoder["rest"]
    try:
        data.encoder["rest"] = facts | {"digest": "0" * 64}
        with pytest.raises(UsageError, match="are not those of the CNN that made its features"):
            finetuning.load_rest(data)
    finally:
        data.encoder["rest"] = facts


class Counting(Captioner):
    """Counts how often it encodes."""

    encoded = 0

    def encode(self, inputs: tf.Tensor, noise: Noise | None = None) -> tf.Tensor:
        def count() -> None:
            self.encoded += 1

        tf.py_function(count, [], [])
        return super().encode(inputs, noise)


@pytest.mark.parametrize(("learns", "times"), [(False, 1), (True, 2)])
def test_self_critical_steps_encode_images_as_often_as_needed(
    data: Dataset, learns: bool, times: int
) -> None:
    """Once for the samples, and again where the CNN learns: and then for both losses."""
    settings = toy.configuration(
        **{"cnn_learning_rate": RATE, "finetune_from_epoch": 0, "clip_norm": 0.0},
        **{"scst_epochs": 1, "scst_samples": 3, "scst_cross_entropy": 0.5, "scst_dropout": 0.5},
    )
    rest = finetuning.load_rest(data)
    assert rest is not None
    model = Counting(settings, toy.VOCABULARY, data.feature_shape, rest)
    model.finetuning = learns
    features = toy.features(4, (4, 4, 6))
    grids = rest(features.astype(np.float32)).numpy()
    plain = Captioner(settings, toy.VOCABULARY, grids.shape[1:])
    figures = []
    for each, inputs in ((model, features), (plain, grids)):
        examples = toy.ArrayExamples(inputs, toy.token_ids(4))
        phase = SelfCritical(Updates(each), settings, examples)
        (batch,) = examples.batches(4)
        outcome = phase.step(*batch, (1, 2), phase.pace(0, 1))
        figures.append((outcome.tokens, outcome.loss, outcome.means["reward"]))
    assert model.encoded == times
    assert figures[0] == pytest.approx(figures[1], rel=1e-5)
    for one, other in zip(model.own_variables, plain.own_variables, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
