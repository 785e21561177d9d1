"""Flags: the job's own, Beam's, and nothing else."""

import copy

import pytest

from pipeline.common import options
from transforms.errors import UsageError

PARSER = options.job_parser("python -m pipeline.something", "Do something.", "replace it")


def test_own_flags_and_beams_are_told_apart() -> None:
    own, beam = options.parse(PARSER, ["--unit_size=7", "--direct_num_workers=2", "--output=x"])
    assert (own.unit_size, own.output) == (7, "x")
    assert beam.get_all_options()["direct_num_workers"] == 2


def test_file_systems_have_the_options_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from apache_beam.io.filesystems import FileSystems

    monkeypatch.setattr(FileSystems, "_pipeline_options", None)
    _, beam = options.parse(PARSER, ["--s3_endpoint_url=http://127.0.0.1:9"])
    assert FileSystems.get_filesystem("s3://bucket/a.jpg")._options is beam


def test_views_of_beams_options_are_the_same_options() -> None:
    from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions

    _, beam = options.parse(PARSER, ["--direct_num_workers=2"])
    view = beam.view_as(DirectOptions)
    assert beam.view_as(DirectOptions) is view
    view.direct_num_workers = 3
    assert copy.deepcopy(beam).view_as(DirectOptions).direct_num_workers == 3
    assert view.view_as(PipelineOptions).get_all_options()["direct_num_workers"] == 3


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--ouput=x", "unknown flag --ouput: did you mean --output?"),
        ("--direct_num_worker=2", "did you mean --direct_num_workers?"),
        ("--unit=7", "unknown flag --unit"),
        ("stray", "unknown flag stray"),
        ("--unit_size=0", "--unit_size: 0 is less than 1"),
        ("--max_reject_fraction=2", "2 is not between 0 and 1"),
        ("--direct_num_workers=many", "invalid int value: 'many'"),
    ],
)
def test_wrong_flags_are_errors(argument: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        options.parse(PARSER, [argument])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "runner"),
    [
        ([], "FnApiRunner"),
        (["--runner=DirectRunner"], "FnApiRunner"),
        (["--runner", "direct"], "FnApiRunner"),
        (["--runner=FlinkRunner"], "FlinkRunner"),
    ],
)
def test_the_direct_runner_is_a_definite_one(arguments: list[str], runner: str) -> None:
    _, beam = options.parse(PARSER, arguments)
    assert beam.get_all_options()["runner"] == runner
