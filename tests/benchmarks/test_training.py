import pytest

from benchmarks import training, trainings
from benchmarks.harness import Contender, Measured
from trainer.configuration import Configuration
from transforms.errors import UsageError


def test_a_clock_ends_at_the_target_and_counts_training_alone() -> None:
    scores = iter([0.2, 0.5, 0.9])
    clock = trainings.Clock(lambda: next(scores), target=0.5, most=1000)
    assert clock.evaluate() == 0.2
    with pytest.raises(trainings.Reached):
        clock.evaluate()
    facts = clock.facts()
    assert [epoch["dev_cider"] for epoch in facts["epochs"]] == [0.2, 0.5]
    assert facts["target_seconds"] == facts["epochs"][-1]["seconds"] < 5


def test_a_clock_gives_up_without_the_target() -> None:
    clock = trainings.Clock(lambda: 0.1, target=0.5, most=0)
    with pytest.raises(trainings.Reached):
        clock.evaluate()
    assert "target_seconds" not in clock.facts()


def test_a_peer_that_was_given_up_bounds_the_share_of_its_time() -> None:
    nan = float("nan")
    both = training.share_of_time([100.0, 400.0], 400.0)
    assert (both.value, both.verdict) == (0.25, "met")
    given_up = training.share_of_time([100.0, nan], 400.0)
    assert (given_up.value, given_up.verdict) == (0.25, "met")
    # Given up too early to say, or not there ourselves.
    assert training.share_of_time([100.0, nan], 200.0).verdict == "not measured"
    assert training.share_of_time([nan, 400.0], 400.0).verdict == "not measured"


def test_trainings_end_by_max_minutes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    run: list[Contender] = []

    def compare(contenders: list[Contender], rounds: int) -> list[Measured]:
        run.extend(contenders)
        return [Measured(one.name, problem="not run") for one in contenders]

    monkeypatch.setattr(training, "compare", compare)
    settings = training.build_parser().parse_args(["--dataset=x", "--max_minutes=90"])
    training.target(settings)
    assert [(one.arguments["most"], one.limit) for one in run] == [(5400, None)] * 2


def test_decoders_stand_beside_the_default(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def compare(contenders: list[Contender], rounds: int) -> list[Measured]:
        for one in contenders:
            Configuration(**one.arguments["flags"]).check((7, 7, 1280))
        runs = [{"tokens_per_second": 100 / (1 + n), "weights": 7, "peak_bytes": 1} for n in (0, 1)]
        failed = [Measured(one.name, problem="no memory") for one in contenders[2:]]
        return [
            Measured(one.name, [run]) for one, run in zip(contenders, runs, strict=False)
        ] + failed

    monkeypatch.setattr(training, "compare", compare)
    settings = training.build_parser().parse_args(["--dataset=x"])
    assert training.decoders(settings)[1] == []
    rows = [line.split("|")[1:4] for line in capsys.readouterr().out.splitlines() if "|" in line]
    assert [[cell.strip() for cell in row] for row in rows[2:4]] == [
        ["LSTM, soft attention", "100", "1.00 x"],
        ["GRU", "50.0", "2.00 x"],
    ]


def test_a_profile_names_the_largest_and_sums_up_the_rest() -> None:
    spent = {f"op{n}": float(n) for n in range(training.SHOWN + 3)}
    lines = training.profile_table(spent).splitlines()
    assert "op10" in lines[2] and len(lines) == 2 + training.SHOWN + 1
    assert lines[-1].split("|")[3].strip() == "3.000 s"


def test_no_data_set_is_refused_before_work(tmp_path: object) -> None:
    with pytest.raises(UsageError, match=r"there is no dataset\.json"):
        training.main([f"--dataset={tmp_path}"])
