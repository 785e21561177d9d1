import pytest

from trainer import schedule


def rates(name):
    return [schedule.learning_rate(1.0, name, step, 40, 10) for step in range(40)]


def test_cosine_falls_to_nothing():
    values = rates("cosine")
    assert values[0] == 1
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.01


def test_decay_falls_once_an_epoch():
    assert rates("decay")[9:12] == pytest.approx([1.0, 0.8, 0.8])
    assert rates("constant")[-1] == 1.0


def test_warmup_rises_to_the_whole_rate():
    assert [schedule.warmup(5, step, 40) for step in (0, 1, 4, 30)] == [0.2, 0.4, 1.0, 1.0]
    assert schedule.warmup(0, 0, 40) == 1.0


def test_few_steps_are_not_all_warmup():
    assert [schedule.warmup(100, step, 16) for step in range(4)] == pytest.approx(
        [1 / 3, 2 / 3, 1.0, 1.0]
    )
    assert schedule.warmup(100, 0, 3) == 1.0


def test_the_average_forgets_the_first_weights():
    assert schedule.averaging(0.9, 0) == pytest.approx(0.1)
    assert schedule.averaging(0.9, 1000) == 0.9
