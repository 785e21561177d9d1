"""How the learning rate changes, as plain functions of the step."""

import math

DECAY = 0.8  # Of the schedule `decay`, an epoch.
SCHEDULES = ("cosine", "decay", "constant")


def learning_rate(peak: float, schedule: str, step: int, total: int, steps_per_epoch: int) -> float:
    """Return the rate of a step.

    Args:
        peak: the highest rate.
        schedule: one of SCHEDULES.
        step: counted from 0.
        total: steps of the whole phase.
        steps_per_epoch: of the phase.
    """
    if schedule == "cosine":
        return peak * (1 + math.cos(math.pi * step / total)) / 2
    if schedule == "decay":
        return peak * DECAY ** (step // steps_per_epoch)
    return peak


def warmup(steps: int, step: int, total: int) -> float:
    """Return the share of the rate at a step, which rises over the first `steps`.

    Of few steps in all it rises over a fifth: else a short training would end in its beginning.
    """
    return min(1.0, (step + 1) / max(1, min(steps, total // 5)))


def ramp(epochs: int, epoch: int) -> float:
    """Return what rises evenly from 0 in the first epoch to 1 in the last; 1 in an only one."""
    return epoch / (epochs - 1) if epochs > 1 else 1.0


def averaging(highest: float, step: int) -> float:
    """Return the decay of the weights' average at a step: low at first, to forget the start."""
    return min(highest, (1 + step) / (10 + step))
