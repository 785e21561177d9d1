"""Sharing a machine's cores."""

import os

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.common.performance import ONE_A_CORE, Performance, workers
from transforms.search import SearchOptions

DATAFLOW = ("--runner=DataflowRunner", "--project=p", "--region=r")


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        (("--runner=DirectRunner",), 1),
        (("--direct_running_mode=multi_processing", "--direct_num_workers=3"), 3),
        (("--direct_num_workers=3",), 1),  # Threads of one process, which take turns.
        (("--runner=FlinkRunner", "--parallelism=8"), 1),
        (("--runner=FlinkRunner", "--sdk_worker_parallelism=4"), 4),
        (("--runner=FlinkRunner", "--sdk_worker_parallelism=0"), ONE_A_CORE),
        (DATAFLOW, ONE_A_CORE),
        ((*DATAFLOW, "--experiments=use_runner_v2,no_use_multiple_sdk_containers"), 1),
    ],
)
def test_workers_that_share_a_machine_are_known(flags: tuple[str, ...], wanted: int) -> None:
    assert workers(PipelineOptions(list(flags))) == wanted


@pytest.mark.parametrize(("workers", "threads"), [(1, 8), (3, 2), (20, 1), (ONE_A_CORE, 1)])
def test_workers_divide_the_cores(
    workers: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert Performance(4, 60.0, workers).threads == threads


@pytest.mark.parametrize(
    ("search", "wanted"),
    [
        (SearchOptions(), 4),
        (SearchOptions(method="greedy", beam_width=50), 4),
        (SearchOptions(beam_width=10), 8),
        (SearchOptions(required=((5,),)), 8),
        (SearchOptions(method="consensus"), 8),
    ],
)
def test_what_takes_longer_than_encoding_is_searched_on_all_cores(
    search: SearchOptions, wanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert Performance(4, 60.0).searchers(search) == wanted
