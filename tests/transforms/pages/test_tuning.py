import dataclasses
import re

import pytest

from transforms import pages
from transforms.pages import tuning

EVIL = "</svg><script>alert('&')</script>"
TRIALS = (
    tuning.Trial(0, "complete", {"units": 8, "rate": 1e-4}, 0.2, (0.1, 0.3), 0.14, 100, 1.0),
    tuning.Trial(1, "complete", {"units": 16, "rate": 1e-2}, 0.4, (0.4, 0.4), 0.0, 1234, 2.0),
    tuning.Trial(2, "pruned", {"units": 8, "rate": 1e-3}, 0.1),
    tuning.Trial(3, "refused", {"units": 16, "rate": 1e-3}, None, message=EVIL),
)
CONTENT = tuning.Tuning(
    title="Search over mine",
    trials=TRIALS,
    parameters=(
        tuning.Parameter("units", ("8", "16")),
        tuning.Parameter("rate", low=1e-4, high=1e-2, log=True),
    ),
    importance={"units": 0.75, "rate": 0.25},
    best=1,
    smallest=0,
    command="python -m trainer.task --units=16",
    smallest_command="python -m trainer.task --units=8",
    folds=2,
)


def test_dots_stand_where_their_values_are():
    history, units, rate = tuning.plots(CONTENT)
    for plot in (history, units, rate):
        heights = {mark.label.split(":")[0]: mark.y for mark in plot.marks}
        assert heights["trial 2"] < heights["trial 1"] < heights["trial 3"]
        assert plot.marks[-1].kind == "best"
    across = {mark.label.split(":")[0]: mark.x for mark in rate.marks}
    # Even over the orders of magnitude.
    assert across["trial 3"] == pytest.approx((across["trial 1"] + across["trial 2"]) / 2, abs=0.02)
    assert [tick.label for tick in units.x_ticks] == ["8", "16"]
    assert len(history.line.split()) == 4


def test_the_page_has_every_trial_and_runs_nothing():
    page = pages.tuning_page(dataclasses.replace(CONTENT, title=EVIL, command=EVIL))
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 4  # Title, heading, command and message.
    assert page.count("<circle") == 9  # Three trials with a value, in three drawings.
    assert "within one standard error" in page
    assert "1,234" in page
    assert not re.search(r"\sstyle=", page)
    assert '<div class="wide" role="region" aria-label="All trials" tabindex="0">' in page
