"""Which of the trials a search recommends."""

from trainer.tuning import report
from trainer.tuning.journal import COMPLETE, Trial


def trial(number: int, parameters: int, value: float) -> Trial:
    """Return a trial of four folds, with a standard error of 0.1."""
    folds = [{"best": value, "seconds": 1}] * 4
    state = {"value": value, "spread": 0.2, "parameters": parameters}
    return Trial(number, {}, {}, COMPLETE, folds, **state)


def test_the_smallest_has_the_fewest_weights_within_a_standard_error_of_the_best() -> None:
    best, near, far = trial(0, 900, 0.5), trial(1, 300, 0.41), trial(2, 100, 0.39)
    assert report.smallest([best, near, far], best) is near
    assert report.smallest([best, far], best) is best
