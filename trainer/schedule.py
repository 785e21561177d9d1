"""How the learning rate changes, as plain functions of the step."""

import math

from trainer.configuration import Configuration

DECAY = 0.8  # Of the schedule `decay`, an epoch.


def learning_rate(configuration: Configuration, step: int, steps_per_epoch: int) -> float:
    """Return the rate of a step, counted from 0 over all epochs."""
    total = configuration.epochs * steps_per_epoch
    warmup = min(1.0, (step + 1) / max(1, configuration.warmup_steps))
    fall = 1.0
    if configuration.schedule == "cosine":
        fall = (1 + math.cos(math.pi * step / total)) / 2
    elif configuration.schedule == "decay":
        fall = DECAY ** (step // steps_per_epoch)
    return configuration.learning_rate * warmup * fall


def averaging(configuration: Configuration, step: int) -> float:
    """Return the decay of the weights' average at a step: low at first, to forget the start."""
    return min(configuration.averaging, (1 + step) / (10 + step))
