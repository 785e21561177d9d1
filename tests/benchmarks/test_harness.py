import math
import time

import pytest

from benchmarks import report
from benchmarks.harness import Contender, Measured, compare
from benchmarks.report import Goal

WORK = "tests.benchmarks.work"


def test_contenders_run_in_turn_and_one_that_cannot_run_says_why() -> None:
    slow, fast, lacking, broken, refusing, failing, once = compare(
        [
            Contender("slow", f"{WORK}:sleep", {"seconds": 0.2}),
            Contender("fast", f"{WORK}:sleep", {"seconds": 0.05}),
            Contender("lacking", f"{WORK}:lack", {}),
            Contender("broken", f"{WORK}:break_own", {}),
            Contender("refusing", f"{WORK}:refuse", {}),
            Contender("failing", f"{WORK}:fail", {}),
            Contender("once", f"{WORK}:sleep", {"seconds": 0.01}, once=True),
        ],
        rounds=2,
    )
    assert len(slow.runs) == len(fast.runs) == 2 and len(once.runs) == 1
    assert slow.rate < fast.rate < 200
    assert lacking.problem == "not installed (no_such_package_anywhere)"
    assert "ImportError: cannot import name 'no_such_name'" in broken.problem
    assert refusing.problem.endswith(": error: this processor cannot: leave it out")
    assert "ValueError: the reason" in failing.problem
    shown = report.contenders([slow, fast, lacking], fast)
    assert "not installed (no_such_package_anywhere)" in shown
    assert lacking.as_json() == {"name": "lacking", "problem": lacking.problem}
    assert math.isnan(lacking.rate)


def test_a_run_that_takes_too_long_is_given_up_and_the_others_are_kept() -> None:
    began = time.monotonic()
    done, endless = compare(
        [
            Contender("done", f"{WORK}:sleep", {"seconds": 0.01}),
            Contender("endless", f"{WORK}:sleep", {"seconds": 60}, limit=0.3),
        ],
        rounds=2,
    )
    assert time.monotonic() - began < 30
    assert len(done.runs) == 2
    assert endless.problem.startswith("given up after 0.3 s")


def test_what_children_use_is_counted() -> None:
    (spent,) = compare(
        [Contender("spent", f"{WORK}:spend", {"seconds": 0.6, "megabytes": 200}, cores=1)], rounds=1
    )
    assert 0.5 < spent.cpu_seconds_per_image < 3
    assert 200 * 2**20 < spent.median("peak_bytes") < 400 * 2**20


def test_medians_not_means_count() -> None:
    runs = [{"images": 10, "seconds": s, "cpu_seconds": s} for s in (1.0, 1.0, 50.0)]
    assert Measured("one", runs).rate == 10


@pytest.mark.parametrize(
    ("goal", "verdict"),
    [
        (Goal("least", 0.9, 0.9), "met"),
        (Goal("least", 0.89, 0.9), "missed"),
        (Goal("most", 1.1, 1.1, most=True), "met"),
        (Goal("most", 1.2, 1.1, most=True), "missed"),
        (Goal("none", float("nan"), 1.0), "not measured"),
    ],
)
def test_a_goal_is_met_missed_or_not_measured(goal: Goal, verdict: str) -> None:
    assert goal.verdict == verdict


def test_numbers_have_the_digits_that_count() -> None:
    shown = [report.number(value) for value in (12345.6, 99.96, 1.234, 0.01234, 0.0, math.nan)]
    assert shown == ["12,346", "100.0", "1.23", "0.0123", "0", "–"]
