"""Each flag of training reaches the steps: what a first step does, with it and without."""

import functools

import numpy as np
import pytest

from tests.trainer import toy
from trainer import loss, phases, self_critical
from trainer.loop import Trainer
from trainer.phases import CrossEntropy
from trainer.self_critical import SelfCritical
from trainer.updates import Updates
from transforms.text import END, PAD, START, UNK

RATE = 0.02
# Nothing at random, so that a step is the flag's alone.
PLAIN = {
    "attention": "none",
    "hidden": 0,
    "dropout": 0.0,
    "feature_dropout": 0.0,
    "label_smoothing": 0.0,
    "learning_rate": RATE,
    "warmup_steps": 0,
    "clip_norm": 0.0,
    "averaging": 0.0,
    "epochs": 1,
}
EXAMPLES = toy.ArrayExamples(toy.features(4), toy.token_ids(4))
IDS = toy.token_ids(4)[:, :, :-1]
INSIDE = (IDS != PAD) & (IDS != START) & (IDS != END)


@pytest.fixture(autouse=True)
def eager(monkeypatch):
    """Take steps without graphs, which would take longer to trace."""
    for module in (phases, self_critical):
        monkeypatch.setattr(module, "traced", lambda captioner, step, *signatures: step)


def captioner(**changes):
    return toy.captioner(**{**PLAIN, **changes})


def weights(model):
    return [weight.numpy() for weight in model.weights]


def phase(kind, **changes):
    model = captioner(**changes)
    return model, kind(Updates(model), model.configuration, EXAMPLES)


def first_step(**changes):
    """Return the loss of the first step, what was read in the end, and the weights after it."""
    model, cross_entropy = phase(CrossEntropy, **changes)
    reads, original = [], model.teacher_forced

    def spy(memory, tokens, packing, noise=None):
        reads.append(tokens.numpy())
        return original(memory, tokens, packing, noise)

    model.teacher_forced = spy
    (batch,) = EXAMPLES.batches(4)
    outcome = cross_entropy.step(*batch, (0, 0), cross_entropy.pace(0, 1))
    return outcome.loss, reads[-1], weights(model)


@functools.cache
def start():
    return weights(captioner())


@pytest.fixture(scope="module")
def plain():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phases, "traced", lambda captioner, step, *signatures: step)
        return first_step()


def length(after):
    """Return how far the weight went that went farthest."""
    return max(np.abs(a - b).max() for a, b in zip(after, start(), strict=True))


def test_adams_first_step_is_as_long_as_the_rate_and_shorter_in_a_warm_up_or_clipped(plain):
    assert length(plain[2]) == pytest.approx(RATE, rel=1e-2)
    assert length(first_step(warmup_steps=4, schedule="constant", epochs=20)[2]) == pytest.approx(
        RATE / 4, rel=1e-2
    )
    # Adam's steps do not depend on the gradients' scale until they are as small as its epsilon.
    assert length(first_step(clip_norm=1e-9)[2]) < RATE / 50


def test_decay_takes_its_share_off_every_weight(plain):
    shrunk = first_step(weight_decay=0.5)[2]
    for before, after, less in zip(start(), plain[2], shrunk, strict=True):
        np.testing.assert_allclose(after - less, 0.5 * RATE * before, atol=1e-6)


def test_smoothing_is_in_the_loss(plain):
    (batch,) = EXAMPLES.batches(4)
    costs = [loss.teacher_forced(captioner(), *batch, label_smoothing=s).mean for s in (0.0, 1.0)]
    assert plain[0] == pytest.approx(float(costs[0]), rel=1e-5)
    expected = 0.6 * float(costs[0]) + 0.4 * float(costs[1])
    assert expected != pytest.approx(plain[0], rel=1e-4)
    assert first_step(label_smoothing=0.4)[0] == pytest.approx(expected, rel=1e-5)


def test_words_are_forgotten_or_replaced_by_own_ones_also_in_an_only_epoch(plain):
    np.testing.assert_array_equal(plain[1], IDS)
    forgotten = first_step(word_dropout=0.5)[1]
    assert 0.2 < (forgotten[INSIDE] == UNK).mean() < 0.8
    assert ((forgotten == IDS) | (forgotten == UNK)).all()
    own = first_step(scheduled_sampling=1.0)[1]
    # Of so few words, some are the caption's own by chance.
    assert (own[INSIDE] != IDS[INSIDE]).mean() > 0.6
    np.testing.assert_array_equal(own[:, :, 0], IDS[:, :, 0])


@pytest.mark.parametrize(
    ("name", "shares"),
    [("constant", [1, 1, 1]), ("decay", [1, 0.8, 0.64]), ("cosine", [1, 0.75, 0.25])],
)
def test_rates_follow_the_schedule_of_their_phase(name, shares):
    changes = {"epochs": 3, "scst_epochs": 3, "scst_learning_rate": 0.5}
    for kind, highest, flag, other in (
        (CrossEntropy, RATE, "schedule", "scst_schedule"),
        (SelfCritical, 0.5, "scst_schedule", "schedule"),
    ):
        set_apart = {flag: name, other: "decay" if name == "constant" else "constant"}
        _, each = phase(kind, **changes, **set_apart)
        rates = [each.pace(step, 1).rate / highest for step in range(3)]
        assert rates == pytest.approx(shares)


def test_own_words_come_with_the_epochs_up_to_the_whole_share():
    for epochs, shares in ((1, [0.5]), (3, [0, 0.25, 0.5])):
        _, each = phase(CrossEntropy, epochs=epochs, scheduled_sampling=0.5)
        assert [each.pace(step, 1).own_words for step in range(epochs)] == pytest.approx(shares)


def test_the_average_is_evaluated_and_kept(plain, tmp_path):
    model, seen = captioner(averaging=0.9), []

    def evaluate():
        seen.append(weights(model))
        return 1.0

    trainer = Trainer(model, EXAMPLES, evaluate, str(tmp_path))
    trainer.run()
    # Its decay is 0.1 in the first step.
    for before, last, judged, kept in zip(start(), plain[2], *seen, weights(model), strict=True):
        np.testing.assert_allclose(judged, before + 0.9 * (last - before), atol=1e-6)
        np.testing.assert_array_equal(kept, judged)


def test_samples_and_their_likelihood_have_the_temperature(monkeypatch):
    drawn, temperatures = [], []
    compare, learn = self_critical.advantage, self_critical.policy_gradient

    def compared(samples, rewards, **options):
        drawn.append(samples)
        return compare(samples, rewards, **options)

    def learned(*arguments, temperature, **options):
        temperatures.append(temperature)
        return learn(*arguments, temperature=temperature, **options)

    monkeypatch.setattr(self_critical, "advantage", compared)
    monkeypatch.setattr(self_critical, "policy_gradient", learned)
    (batch,) = EXAMPLES.batches(4)
    for temperature in (1.0, 1e-8):
        _, each = phase(SelfCritical, scst_epochs=1, scst_temperature=temperature)
        each.step(*batch, (0, 0), each.pace(0, 1))
    alike = [(samples == samples[:, :1]).all() for samples in drawn]
    assert alike == [False, True]
    assert temperatures == [1.0, 1e-8]
