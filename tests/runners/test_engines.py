"""Both jobs on distributed engines: the bytes of a local run, from processes of their own.

Run by `make test-runners`. The first time, the engines are built and fetched into .cache/.
"""

from pathlib import Path

import pytest

from tests.faults import inputs
from tests.faults.jobs import run_job, tree
from tests.runners.engines import WORKERS

LOCAL = ["--runner=FnApiRunner"]
PROCESSES = [*LOCAL, "--direct_running_mode=multi_processing", "--direct_num_workers=2"]
UNITS = ["--unit_size=6", "--batch_size=4"]
TIMEOUT = 420

# A test's time includes that of what it compares with.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images and captions, good and bad."""
    folder = tmp_path_factory.mktemp("inputs")
    inputs.write(folder)
    return folder


@pytest.fixture(scope="module")
def preprocess(images: Path) -> list[str]:
    """The preprocessing job, without engine and output."""
    return ["pipeline.preprocess", *inputs.flags(images), *UNITS]


@pytest.fixture(scope="module")
def dataset(preprocess: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set that a local run writes."""
    folder = tmp_path_factory.mktemp("local")
    run_job([*preprocess, "--output=dataset", *LOCAL], folder).check()
    return folder / "dataset"


@pytest.fixture(scope="module")
def caption(images: Path, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The captioning job with a hardly trained captioner, without engine and output."""
    folder = tmp_path_factory.mktemp("trained")
    sizes = ["--units=32", "--embedding=16", "--hidden=16", "--attention_units=16"]
    train = ["trainer.task", f"--dataset={dataset}", "--output=captioner", "--epochs=1", *sizes]
    run_job(train, folder).check()
    captioner = f"--captioner={folder / 'captioner'}"
    return ["pipeline.caption", f"--images={images / 'images'}", captioner, *UNITS]


@pytest.fixture(scope="module")
def captions(caption: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The captions that a local run writes."""
    folder = tmp_path_factory.mktemp("captioned")
    run_job([*caption, "--output=captions", *LOCAL], folder).check()
    return folder / "captions"


def check_workers(folder: Path, engine: list[str]) -> None:
    """Fail unless the engine started its worker processes: each made a folder for itself."""
    wanted = WORKERS if "--runner=FlinkRunner" in engine else 1
    assert len(list(folder.glob("tmp/beam-worker.*"))) >= wanted


def test_preprocess_on_an_engine_writes_the_bytes_of_a_local_run(
    engine: list[str], preprocess: list[str], dataset: Path, tmp_path: Path
) -> None:
    run = run_job([*preprocess, "--output=dataset", *engine], tmp_path, timeout=TIMEOUT)
    run.check()
    assert tree(tmp_path / "dataset") == tree(dataset)
    assert len(list(dataset.glob("data/*.tfrecord"))) > 5
    check_workers(tmp_path, engine)


def test_preprocess_in_two_local_processes_writes_the_bytes_of_one(
    preprocess: list[str], dataset: Path, tmp_path: Path
) -> None:
    run_job([*preprocess, "--output=dataset", *PROCESSES], tmp_path).check()
    assert tree(tmp_path / "dataset") == tree(dataset)


def test_caption_on_an_engine_writes_the_bytes_of_a_local_run(
    engine: list[str], caption: list[str], captions: Path, tmp_path: Path
) -> None:
    run = run_job([*caption, "--output=captions", *engine], tmp_path, timeout=TIMEOUT)
    run.check()
    assert tree(tmp_path / "captions") == tree(captions)
    assert len(list(captions.glob("data/*.parquet"))) > 5
    check_workers(tmp_path, engine)


def test_wrong_input_that_only_a_worker_finds_ends_in_one_line(
    engine: list[str], images: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "images"
    bad.mkdir()
    (bad / "broken.jpg").write_bytes(b"not a picture")
    (tmp_path / "captions.tsv").write_text("image\tcaption\nbroken.jpg\ta dog\n")
    arguments = ["pipeline.preprocess", f"--images={bad}", f"--captions={tmp_path}/captions.tsv"]
    run = run_job([*arguments, "--output=dataset", *engine], tmp_path, timeout=TIMEOUT)
    run.check(status=2)
    errors = [line for line in run.log.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, run.log[-3000:]
    assert not (tmp_path / "dataset" / "dataset.json").exists()
