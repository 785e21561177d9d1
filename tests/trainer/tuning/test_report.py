"""Which of the trials a search recommends."""

import dataclasses
from pathlib import Path

from tests.trainer import toy
from trainer.configuration import Configuration
from trainer.tuning import report, space
from trainer.tuning.journal import COMPLETE, Trial
from trainer.tuning.search import Plan


def trial(number: int, parameters: int, value: float) -> Trial:
    """Return a trial of four folds, with a standard error of 0.1."""
    folds = [{"best": value, "seconds": 1}] * 4
    state = {"value": value, "spread": 0.2, "parameters": parameters}
    return Trial(number, {}, {}, COMPLETE, folds, **state)


def test_the_smallest_has_the_fewest_weights_within_a_standard_error_of_the_best() -> None:
    best, near, far = trial(0, 900, 0.5), trial(1, 300, 0.41), trial(2, 100, 0.39)
    assert report.smallest([best, near, far], best) is near
    assert report.smallest([best, far], best) is best


def test_bytes_of_a_name_that_are_no_text_are_escapes_on_the_page(tmp_path: Path) -> None:
    data = toy.dataset(tmp_path / "caf\udce9", train=2)
    plan = Plan(Configuration(), (space.parse("units:8,16"),), [None], 1, 0, None)
    done = dataclasses.replace(trial(0, 900, 0.5), choices={"units": 0}, settings={"units": 8})
    report.write(str(tmp_path), [done], plan, data)
    assert "/caf\\udce9" in (tmp_path / "tuning.html").read_text("utf-8")
