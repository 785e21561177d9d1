"""Self-critical training: captions that score better than their siblings become likelier.

Rennie et al., "Self-critical Sequence Training for Image Captioning", CVPR 2017 (the greedy
caption's score as the baseline); Luo, "A Better Variant of Self-Critical Sequence Training",
2020, arXiv:2003.09971 (the mean score of the image's other samples).
"""

import functools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from trainer import schedule
from trainer.configuration import Configuration
from trainer.examples import Examples
from trainer.finetuning import traced
from trainer.loss import Loss, policy_gradient, teacher_forced
from trainer.noise import Noise
from trainer.packing import bucket_length
from trainer.phases import Outcome, Pace, count_tokens, step_signature
from trainer.reward import Reward
from trainer.sampling import sample
from trainer.updates import Updates

SELF_CRITICAL = "self-critical"


class SelfCritical:
    """A phase that samples captions, scores them by CIDEr-D and learns from the difference."""

    name = SELF_CRITICAL
    rate_flag = "scst_learning_rate"

    def __init__(self, updates: Updates, configuration: Configuration, examples: Examples) -> None:
        """Prepare the graphs; the training captions are indexed before the first step.

        Args:
            updates: of the captioner.
            configuration: the run's.
            examples: the training split.
        """
        self.epochs = configuration.scst_epochs
        self._updates, self._configuration = updates, configuration
        self._examples = examples
        self._reward: Reward | None = None
        self._sample = traced(
            updates.captioner, self._draw, [examples.input_spec, tf.TensorSpec([2], tf.int32)]
        )
        # By the length of captions: one for all, or with XLA one for each bucket.
        self._step_for = functools.cache(self._traced)

    def pace(self, step: int, steps_per_epoch: int) -> Pace:
        """See `trainer.phases.Phase`; the average starts from good weights."""
        c = self._configuration
        total = c.scst_epochs * steps_per_epoch
        rate = schedule.learning_rate(
            c.scst_learning_rate, c.scst_schedule, step, total, steps_per_epoch
        )
        return Pace(rate, c.averaging)

    def step(
        self, inputs: tf.Tensor, token_ids: tf.Tensor, seed: tuple[int, int], pace: Pace
    ) -> Outcome:
        """See `trainer.phases.Phase`."""
        if self._reward is None:
            self._reward = Reward(self._examples.captions())
        c = self._configuration
        times = [time.monotonic()]
        drawn, *encoded = self._sample(inputs, seed)
        drawn = drawn.numpy()
        times.append(time.monotonic())
        rewards = self._reward.score(np.asarray(token_ids), drawn)
        samples, advantages = advantage(drawn, rewards, greedy=c.scst_baseline == "greedy")
        times.append(time.monotonic())
        seen = encoded[0] if encoded else inputs
        length = self._examples.steps - 1
        if c.xla:
            learned = [samples, *([token_ids[:, :, 1:]] if c.scst_cross_entropy else [])]
            length = min(length, bucket_length(*learned))
        token_ids, samples = token_ids[:, :, : length + 1], samples[:, :, :length]
        loss, tokens = self._step_for(length)(seen, token_ids, samples, advantages, seed, pace)
        outcome = float(loss), int(tokens), int(np.prod(samples.shape[:2]))
        times.append(time.monotonic())
        seconds = dict(zip(("sampling", "reward", "update"), np.diff(times).tolist(), strict=True))
        means = {
            "reward": float(rewards[:, : c.scst_samples].mean()),
            "sampled_length": float((samples != 0).sum() / outcome[2]),
        }
        return Outcome(*outcome, means, seconds)

    def _traced(self, length: int) -> Callable[..., Any]:
        captioner = self._updates.captioner
        ids = tf.TensorSpec([None, None, length], tf.int32)
        signature = step_signature(self._examples, length + 1, ids, tf.TensorSpec([None, None]))
        frozen = [*signature]
        rest = captioner.encoder if captioner.pretrained else None
        if rest is not None:
            frozen[0] = tf.TensorSpec([None, *rest.output_shape[1:]])
        return traced(captioner, self._run, signature, frozen)

    def _draw(self, inputs: tf.Tensor, seed: tf.Tensor) -> list[tf.Tensor]:
        """Return captions and, if a CNN is frozen, what it made of the images."""
        return self._updates.replicas.run(self._draw_share, inputs, seed)

    def _draw_share(self, inputs: tf.Tensor, seed: tf.Tensor) -> list[tf.Tensor]:
        c = self._configuration
        replicas, rows = self._updates.replicas, tf.shape(inputs)[0]
        captioner = self._updates.captioner
        (inputs,) = replicas.share(inputs)
        grid = captioner.encode(inputs)
        drawn = sample(
            captioner,
            captioner.decoder.prepare(grid, Noise()),
            seed=replicas.seed(seed),
            samples=c.scst_samples,
            greedy=c.scst_baseline == "greedy",
            temperature=c.scst_temperature,
            max_length=self._examples.steps - 2,
        )
        reused = captioner.pretrained and not captioner.finetuning
        return [replicas.join(each, rows) for each in ([drawn, grid] if reused else [drawn])]

    def _run(self, *batch: Any) -> tuple[tf.Tensor, tf.Tensor]:
        return self._updates.replicas.run(self._learn, *batch)

    def _learn(
        self,
        inputs: tf.Tensor,
        token_ids: tf.Tensor,
        samples: tf.Tensor,
        advantages: tf.Tensor,
        seed: tf.Tensor,
        pace: Pace,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        c = self._configuration
        captioner = self._updates.captioner
        replicas, rows = self._updates.replicas, tf.shape(token_ids)[0]
        inputs, token_ids, samples, advantages = replicas.share(
            inputs, token_ids, samples, advantages
        )
        token_ids, samples = (replicas.without_repeats(ids, rows) for ids in (token_ids, samples))
        seed, real = replicas.seed(seed), None if c.xla else replicas.real(rows)

        def noise() -> Noise:
            return Noise(seed, c.scst_dropout, real) if c.scst_dropout else Noise()

        def objective() -> list[Loss]:
            # Once for both losses; a frozen CNN's grid comes from the sampling.
            grid = inputs
            if captioner.encoder_learns:
                grid = captioner.encode(inputs, noise())
            decoder, temperature = captioner.decoder, c.scst_temperature
            losses = [
                policy_gradient(
                    decoder, grid, samples, advantages, temperature=temperature, noise=noise()
                )
            ]
            if c.scst_cross_entropy:
                smoothing = c.label_smoothing
                likelihood = teacher_forced(
                    decoder, grid, token_ids, label_smoothing=smoothing, noise=noise()
                )
                losses.append(likelihood._replace(weight=c.scst_cross_entropy))
            return losses

        tokens = [tf.math.count_nonzero(samples, dtype=tf.int32)]
        if c.scst_cross_entropy:
            tokens.append(count_tokens(token_ids))
        return self._updates.apply(objective, tokens, pace.rate, pace.decay)


def advantage(
    drawn: npt.NDArray[np.int32], rewards: npt.NDArray[np.float32], *, greedy: bool
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Say how much better each sample is than what it is compared with.

    Args:
        drawn: int32 [B, K, S]; with `greedy`, the last caption of each image is the greedy one.
        rewards: float32 [B, K].
        greedy: compare with that one, which is then no sample; otherwise with the mean of the
            image's other samples.

    Returns:
        The samples, and float32 of their first two axes.
    """
    if greedy:
        return drawn[:, :-1], rewards[:, :-1] - rewards[:, -1:]
    others = (rewards.sum(axis=1, keepdims=True) - rewards) / (rewards.shape[1] - 1)
    return drawn, rewards - others
