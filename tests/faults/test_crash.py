"""An image that brings down the process that decodes it costs one image, in the next run."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.faults import deadly, inputs
from tests.faults.jobs import run_job, tree
from tests.faults.warm import WarmPython
from transforms import captions_table


@pytest.fixture
def vulnerable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmPython]:
    """A Python whose jobs have a decoder that some images bring down."""
    environment = deadly.environment(tmp_path_factory.mktemp("site"))
    with closing(WarmPython(environment)) as python:
        yield python


def test_the_same_command_again_gets_past_the_image_that_crashed_it(
    captioner_folder: Path, vulnerable: WarmPython, tmp_path: Path
) -> None:
    inputs.write(tmp_path, count=30)
    command = ["pipeline.caption", f"--captioner={captioner_folder}", "--unit_size=8"]
    images = f"--images={tmp_path / 'images'}"
    run_job([*command, images, "--output=healthy"], tmp_path, warm=vulnerable).check()
    culprit = tmp_path / "images" / "culprit.bmp"
    culprit.write_bytes(deadly.image("crash"))

    job = [*command, images, "--output=captions"]
    run_job(job, tmp_path, warm=vulnerable).check(status=-11)
    assert not (tmp_path / "captions" / "captions.json").exists()
    run_job(job, tmp_path, warm=vulnerable).check()
    rejects = pq.read_table(tmp_path / "captions" / "rejects.parquet").to_pylist()
    (reject,) = [row for row in rejects if row["key"] == "culprit.bmp"]
    assert reject["code"] == "decoder_crashed"
    assert not reject["retryable"]
    # All others have the very captions of a run without the culprit.
    assert rows(tmp_path / "captions") == rows(tmp_path / "healthy")
    assert len(rejects) == 2
    before = tree(tmp_path / "captions")
    assert not [name for name in before if name.endswith(".started")]

    run_job(job, tmp_path, warm=vulnerable).check()
    assert tree(tmp_path / "captions") == before


def test_an_image_that_takes_too_long_costs_its_unit_a_second_attempt_and_nothing_else(
    captioner_folder: Path, vulnerable: WarmPython, tmp_path: Path
) -> None:
    inputs.write(tmp_path, count=12)
    job = ["pipeline.caption", f"--captioner={captioner_folder}", "--unit_size=8"]
    job += [f"--images={tmp_path / 'images'}", "--image_seconds=4"]
    run_job([*job, "--output=healthy"], tmp_path, warm=vulnerable).check()
    (tmp_path / "images" / "slow.bmp").write_bytes(deadly.image("slow"))

    run = run_job([*job, "--output=captions"], tmp_path, warm=vulnerable)
    run.check()
    assert "an image is not decoded after 4 seconds: its unit begins anew" in run.log
    rejects = pq.read_table(tmp_path / "captions" / "rejects.parquet").to_pylist()
    assert [row["code"] for row in rejects if row["key"] == "slow.bmp"] == ["decoder_timeout"]
    assert rows(tmp_path / "captions") == rows(tmp_path / "healthy")


def rows(folder: Path) -> list[dict[str, object]]:
    """Return the rows of a table in the order of their keys."""
    return sorted(captions_table.rows(str(folder)), key=lambda row: row["key"])
