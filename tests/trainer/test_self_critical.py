import numpy as np
import pytest
import tensorflow as tf

from tests.trainer import toy
from trainer import loss
from trainer.loop import Trainer
from trainer.reward import Reward
from trainer.sampling import sample
from trainer.search import beam_search
from trainer.self_critical import advantage
from transforms.metrics import CiderD
from transforms.text import END, PAD, START, UNK

SAMPLED = {"greedy": False, "temperature": 1.0, "max_length": toy.STEPS - 2}


def words(ids):
    """Return the words of a row, END among them and START not."""
    return [toy.WORDS[token] for token in ids if token not in (PAD, START)]


def draw(model, features, seed=0, **changes):
    options = {"samples": 4, "seed": tf.constant([7, seed])} | SAMPLED | changes
    return sample(model, model.prepare(tf.constant(features)), **options).numpy()


def test_the_reward_is_cider_of_the_words_with_end_among_them():
    ids = toy.token_ids(6)
    samples = draw(toy.captioner(), toy.features(6))
    wider = np.pad(ids, ((0, 0), (0, 2), (0, 0)))
    rewards = Reward(ids).score(wider[[4, 1]], samples[[4, 1]])
    references = [[words(row) for row in rows if row[0]] for rows in ids]
    for k in range(4):
        candidates = [words(rows[k]) for rows in samples]
        _, expected = CiderD(references).score(candidates)
        np.testing.assert_allclose(rewards[:, k], expected[[4, 1]], rtol=1e-6)


def test_samples_follow_the_decoder_and_the_seed():
    model, features = toy.captioner(), toy.features(2)
    drawn = draw(model, features, samples=4000)
    np.testing.assert_array_equal(drawn[:, :50], draw(model, features, samples=4000)[:, :50])
    assert not np.array_equal(drawn, draw(model, features, seed=1, samples=4000))
    assert not np.isin(drawn[..., 0], [PAD, START, UNK]).any()
    for row in drawn.reshape(-1, drawn.shape[-1]):
        behind = np.flatnonzero(row == END)
        assert not behind.size or not row[behind[0] + 1 :].any()
    memory = model.prepare(features)
    state = tf.nest.map_structure(lambda x: x[:, None], model.initial_state(memory))
    logits = model.step(tf.fill([2, 1], START), state, memory)[0].numpy()[:, 0]
    logits[:, [PAD, START, UNK]] = -np.inf
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    shares = [np.bincount(rows[:, 0], minlength=toy.VOCABULARY) / 4000 for rows in drawn]
    np.testing.assert_allclose(shares, expected, atol=0.04)


def test_the_greedy_caption_follows_the_samples():
    model, features = toy.captioner(), toy.features(3)
    drawn = draw(model, features, samples=2, greedy=True)
    assert drawn.shape[1] == 3
    best, _ = beam_search(
        model, model.prepare(features), beam_width=1, length_penalty=0.0, max_length=5
    )
    np.testing.assert_array_equal(drawn[:, 2], best[:, 0])
    cold = draw(model, features, samples=2, greedy=True, temperature=1e-4)
    np.testing.assert_array_equal(cold[:, 0], cold[:, 2])


def test_advantages_compare_with_the_others_or_with_the_greedy_caption():
    rewards = np.array([[1.0, 2.0, 6.0]], np.float32)
    ids = np.arange(6, dtype=np.int32).reshape(1, 3, 2)
    kept, mean = advantage(ids, rewards, greedy=False)
    np.testing.assert_allclose(mean, [[-3, -1.5, 4.5]])
    assert kept.shape == (1, 3, 2)
    kept, greedy = advantage(ids, rewards, greedy=True)
    np.testing.assert_allclose(greedy, [[-5, -4]])
    np.testing.assert_array_equal(kept, ids[:, :2])


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_the_gradient_is_that_of_the_expected_reward(temperature):
    """On captions of one word, whose expected reward can be had exactly."""
    model, features = toy.captioner(), tf.constant(toy.features(1))
    reward = tf.constant(np.random.default_rng(0).normal(size=toy.VOCABULARY), tf.float32)
    allowed = [END, *range(UNK + 1, toy.VOCABULARY)]

    def probabilities():
        memory = model.prepare(features)
        state = tf.nest.map_structure(lambda x: x[:, None], model.initial_state(memory))
        logits = model.step(tf.fill([1, 1], START), state, memory)[0][0, 0]
        return tf.nn.softmax(tf.gather(logits, allowed) / temperature)

    with tf.GradientTape() as tape:
        expected = tf.reduce_sum(probabilities() * tf.gather(reward, allowed))
    weights = model.trainable_variables[0].value
    exact = tape.gradient(expected, weights)
    # Every word once, weighted by its probability: the mean over infinitely many samples.
    samples = np.zeros((1, len(allowed), 2), np.int32)
    samples[0, :, 0] = allowed
    advantages = probabilities() * tf.gather(reward, allowed)
    with tf.GradientTape() as tape:
        found = loss.policy_gradient(
            model, features, tf.constant(samples), advantages[None], temperature=temperature
        )
    assert int(found.tokens) == len(allowed)
    ascent = -tape.gradient(found.mean, weights) * len(allowed)
    assert np.abs(exact).max() > 1e-4
    np.testing.assert_allclose(ascent, exact, atol=1e-6)


@pytest.mark.parametrize("decoder", ["topdown", "transformer"])
def test_every_decoder_can_be_sampled(decoder):
    drawn = draw(toy.captioner(decoder=decoder), toy.features(3))
    assert drawn.shape == (3, 4, toy.STEPS - 1)
    assert np.isin(drawn, [START, UNK]).sum() == 0


@pytest.mark.parametrize("baseline", ["mean", "greedy"])
def test_training_raises_the_reward_of_greedy_captions(tmp_path, baseline):
    examples = toy.ArrayExamples(toy.features(4), toy.token_ids(4, captions=1))
    model = toy.captioner(
        epochs=2,
        scst_epochs=30,
        scst_samples=16,
        scst_learning_rate=0.03,
        scst_baseline=baseline,
        scst_cross_entropy=0.1 if baseline == "greedy" else 0.0,
        scst_dropout=0.2 if baseline == "greedy" else 0.0,
        patience=30,
        averaging=0.0,
    )
    reward = Reward(examples.captions())
    (batch,) = examples.batches(4)

    def score():
        greedy = draw(model, batch[0], samples=1, greedy=True)[:, 1:]
        return float(reward.score(batch[1].numpy(), greedy).mean())

    epochs = iter(range(32))
    trainer = Trainer(model, examples, lambda: float(next(epochs)), str(tmp_path))
    before = score()
    history = trainer.run().history
    assert score() > before + 0.5
    assert history[-1]["reward"] > history[2]["reward"] + 0.5
    shares = [history[-1][f"{part}_share"] for part in ("sampling", "reward", "update")]
    assert sum(shares) == pytest.approx(1)
