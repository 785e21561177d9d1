import pytest

from trainer.presets import resolve
from trainer.schedule import averaging, learning_rate


def rates(schedule):
    settings = {"epochs": 4, "learning_rate": 1.0, "warmup_steps": 5, "schedule": schedule}
    return [learning_rate(resolve("attention-lstm", settings), n, 10) for n in range(40)]


def test_cosine_rises_then_falls_to_nothing():
    values = rates("cosine")
    assert values[0] == pytest.approx(0.2)
    assert values[:5] == sorted(values[:5])
    assert values[5:] == sorted(values[5:], reverse=True)
    assert values[-1] < 0.01


def test_decay_falls_once_an_epoch():
    assert rates("decay")[9:12] == pytest.approx([1.0, 0.8, 0.8])
    assert rates("constant")[-1] == 1.0


def test_the_average_forgets_the_first_weights():
    settings = resolve("attention-lstm", {"averaging": 0.9})
    assert averaging(settings, 0) == pytest.approx(0.1)
    assert averaging(settings, 1000) == 0.9
