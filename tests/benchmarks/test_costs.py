import json
from pathlib import Path

import pytest

from benchmarks import costs
from benchmarks.costs import Prices, Stage, Work
from transforms.errors import UsageError


def test_money_is_the_sum_of_cpu_requests_and_shuffles() -> None:
    prices = Prices(
        cpu_hour=3.0,
        gigabyte_hour=0.5,
        gigabytes_a_cpu=2.0,
        shuffled_gigabyte=7.0,
        write_request=0.1,
        read_request=0.01,
    )
    stage = Stage("x", cpu_seconds=1800, reads=3, writes=2, shuffled_bytes=1e9)
    assert stage.dollars(prices) == pytest.approx(2 + 0.03 + 0.2 + 7)


def test_larger_units_make_fewer_requests_and_nothing_else_changes() -> None:
    small, large = (costs.total(Work(unit_size=size).stages()) for size in (100, 10_000))
    assert large.writes < small.writes and large.reads < small.reads
    assert large.cpu_seconds == small.cpu_seconds and large.read_bytes == small.read_bytes


@pytest.mark.parametrize(
    "flag", ["--unit_size=0", "--page=0", "--images=-3", "--images=inf", "--read=nan"]
)
def test_numbers_that_nothing_can_cost_are_refused(flag: str) -> None:
    with pytest.raises(UsageError, match=f"argument {flag.split('=')[0]}: "):
        costs.main([flag])


def test_every_number_is_a_flag(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    free = ["--cpu_hour=0", "--gigabyte_hour=0"]
    costs.main(["--images=1e9", *free, "--image_reads=1", f"--work={tmp_path}"])
    shown = capsys.readouterr().out
    assert shown.startswith("1,000,000,000 images")
    assert shown.rstrip().endswith("Keeping the 250 GB that are written costs $5.00 a month.")
    (read,) = [line for line in shown.splitlines() if line.startswith("| read")]
    assert "$400.00" in read
    facts = json.loads((tmp_path / "costs.json").read_text())
    assert facts["stored_dollars_month"] == pytest.approx(5)
    dollars = {stage["name"]: stage["dollars"] for stage in facts["stages"]}
    assert dollars["read, twice"] == pytest.approx(400)
    assert dollars.pop("all") == pytest.approx(sum(dollars.values()))


def test_the_documented_table_is_what_the_command_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    costs.main(["--images=1e6", f"--work={tmp_path}"])
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert "\n".join(rows) in (Path(__file__).parents[2] / "docs" / "scaling.md").read_text()
