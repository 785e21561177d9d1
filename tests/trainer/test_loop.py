import re

import numpy as np
import pytest

from tests.trainer import toy
from trainer import loss, progress
from trainer.checkpoint import CHECKPOINT
from trainer.loop import Trainer
from trainer.search import beam_search
from transforms.errors import JobError, UsageError


class KilledError(Exception):
    pass


class Deadly(toy.ArrayExamples):
    """Examples that kill the training in a batch, counted over its life."""

    def __init__(self, kill_at):
        super().__init__(toy.features(10), toy.token_ids(10))
        self.left = kill_at

    def batches(self, size, seed=None):
        for batch in super().batches(size, seed):
            if not self.left:
                raise KilledError
            self.left -= 1
            yield batch


def trainer(folder, examples=None, **changes):
    """Return a trainer on toy data."""
    examples = examples or toy.examples()
    model = toy.captioner(**changes)
    judged = toy.examples()

    def evaluate():
        (batch,) = judged.batches(judged.images)
        return 10.0 - float(loss.teacher_forced(model, *batch).mean)

    return Trainer(model, examples, evaluate, str(folder))


def weights(run):
    return [variable.numpy() for variable in run.captioner.weights]


def assert_equal(first, second):
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_two_runs_are_equal_bit_for_bit(tmp_path):
    runs = [trainer(tmp_path / str(n)) for n in range(2)]
    states = [run.run() for run in runs]
    assert_equal(weights(runs[0]), weights(runs[1]))
    assert [row["loss"] for row in states[0].history] == [row["loss"] for row in states[1].history]
    assert not np.array_equal(toy.captioner(seed=1).weights[0], toy.captioner(seed=0).weights[0])


def test_a_killed_run_continues_to_the_result_of_an_uninterrupted_one(tmp_path):
    phases = {"epochs": 2, "scst_epochs": 2, "scst_learning_rate": 0.01, "patience": 9}
    whole = trainer(tmp_path / "whole", **phases)
    expected = whole.run()
    # Ten images in batches of four: three steps an epoch. Killed in the first epoch, in the second
    # of cross-entropy, before self-critical training, and within that.
    for kill_at in (2, 4, 3, 4):
        with pytest.raises(KilledError):
            trainer(tmp_path / "killed", Deadly(kill_at), **phases).run()
    continued = trainer(tmp_path / "killed", **phases)
    state = continued.run()
    assert_equal(weights(continued), weights(whole))
    assert (state.best_epoch, state.best_score) == (expected.best_epoch, expected.best_score)
    assert [row["phase"] for row in state.history] == ["cross-entropy"] * 2 + ["self-critical"] * 2
    for name in ("loss", "dev_cider"):
        assert [r[name] for r in state.history] == [r[name] for r in expected.history]
    rewards = [row["reward"] for row in state.history[2:]]
    assert rewards == [row["reward"] for row in expected.history[2:]]


def test_a_toy_batch_is_memorised(tmp_path):
    ids = toy.token_ids(4, captions=1)
    run = trainer(
        tmp_path,
        toy.ArrayExamples(toy.features(4), ids),
        units=32,
        hidden=32,
        embedding=16,
        epochs=80,
        patience=80,
        dropout=0.0,
        feature_dropout=0.0,
        label_smoothing=0.0,
        averaging=0.0,
    )
    scores = iter(range(80))
    run._evaluate = lambda: float(next(scores))
    assert run.run().history[-1]["loss"] < 0.05
    tokens, _ = beam_search(
        run.captioner,
        run.captioner.prepare(toy.features(4)),
        beam_width=2,
        length_penalty=0.7,
        max_length=toy.STEPS - 2,
    )
    np.testing.assert_array_equal(tokens[:, 0], ids[:, 0, 1:])


def test_the_best_epoch_is_kept_and_patience_ends_the_training(tmp_path):
    run = trainer(tmp_path, epochs=9, patience=2)
    scores = iter([0.1, 0.5, 0.3, 0.4])
    seen = []

    def evaluate():
        seen.append(weights(run))
        return next(scores)

    run._evaluate = evaluate
    state = run.run()
    assert (state.epoch, state.best_epoch, state.best_score) == (4, 2, 0.5)
    assert_equal(weights(run), seen[1])


def test_without_any_score_the_last_epoch_is_the_best(tmp_path):
    run = trainer(tmp_path, epochs=5, patience=2)
    scores = iter([0.0, 0.0, 0.0, 0.25, 0.25])
    run._evaluate = lambda: next(scores)
    state = run.run()
    # Nor does patience end before there is one; of those with a score it is the first.
    assert (state.epoch, state.best_epoch) == (5, 4)


def test_self_critical_training_starts_from_the_best_weights(tmp_path):
    run = trainer(tmp_path, epochs=9, patience=2, scst_epochs=1, scst_learning_rate=0.0)
    scores = iter([0.1, 0.5, 0.3, 0.4, 0.5])
    seen = []

    def evaluate():
        seen.append(weights(run))
        return next(scores)

    run._evaluate = evaluate
    assert run.run().epoch == 5
    assert_equal(seen[4], seen[1])


def test_time_left_leaves_out_the_epochs_that_patience_spared(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(progress, "INTERVAL", 0)
    run = trainer(tmp_path, epochs=9, patience=2, scst_epochs=1)
    scores = iter([0.1, 0.5, 0.3, 0.4, 0.5])
    run._evaluate = lambda: next(scores)
    run.run()
    told = re.findall(r"epoch (\d)  step (\d+/\d+)", capsys.readouterr().err)
    # Three steps an epoch: of ten epochs, then of the five that came of them.
    assert told[11:] == [("4", "12/30"), ("5", "13/15"), ("5", "14/15"), ("5", "15/15")]


def test_no_epoch_starts_that_would_end_too_late(tmp_path):
    state = trainer(tmp_path, epochs=5).run(max_minutes=1e-6)
    assert state.epoch == 1


def test_a_damaged_checkpoint_is_refused_with_the_remedy(tmp_path):
    (tmp_path / CHECKPOINT).write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(UsageError, match="delete it"):
        trainer(tmp_path).run()


def test_a_loss_that_is_not_a_number_ends_the_training(tmp_path):
    features = toy.features(4)
    features[0] = np.nan
    run = trainer(tmp_path, toy.ArrayExamples(features, toy.token_ids(4)))
    with pytest.raises(JobError, match="learning_rate"):
        run.run()
