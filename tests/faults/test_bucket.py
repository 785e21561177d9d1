"""Both jobs on a bucket, and a bucket that fails half-way."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.common import claims
from tests.faults import inputs
from tests.faults.bucket import Bucket, no_fault
from tests.faults.jobs import run_job
from tests.faults.warm import WarmPython
from tests.transforms.sources.archives import write_tar, write_zip
from transforms import captions_table, files, manifests
from transforms.dataset import open_dataset
from transforms.errors import UsageError

UNITS = ["--unit_size=5", "--batch_size=4"]


@pytest.fixture(scope="module")
def shared_bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    """A store with images, captions and a captioner."""
    with closing(Bucket(tmp_path_factory.mktemp("account"))) as bucket:
        yield bucket


@pytest.fixture
def bucket(shared_bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """The store, healthy, and this process among its users."""
    for name, value in shared_bucket.environment.items():
        monkeypatch.setenv(name, value)
    shared_bucket.fault = no_fault
    return shared_bucket


@pytest.fixture
def stored(bucket: Bucket, tmp_path: Path, captioner_folder: Path) -> Path:
    """The folder with copies of what is in the store."""
    inputs.write(tmp_path / "in", count=12)
    if not files.exists("gs://bucket/captioner/captioner.json"):
        copy(tmp_path / "in", "gs://bucket/in")
        copy(captioner_folder, "gs://bucket/captioner")
    return tmp_path / "in"


def copy(folder: Path, target: str) -> None:
    """Copy a folder to a bucket."""
    for path in folder.rglob("*"):
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            files.write_bytes(f"{target}/{name}", path.read_bytes())


def captions(folder: str) -> dict[str, str]:
    """Return the captions of a table by key."""
    return {row["key"]: row["caption"] for row in captions_table.rows(folder)}


def caption(output: str, images: str = "gs://bucket/in/images") -> list[str]:
    """Return the captioning job on the bucket."""
    flags = [f"--images={images}", "--captioner=gs://bucket/captioner"]
    return ["pipeline.caption", *flags, f"--output={output}", "--page_images=3", *UNITS]


def test_captions_of_a_bucket_are_those_of_a_folder(
    bucket: Bucket, stored: Path, captioner_folder: Path, warm: WarmPython, tmp_path: Path
) -> None:
    local = [f"--images={stored / 'images'}", f"--captioner={captioner_folder}", *UNITS]
    run_job(["pipeline.caption", *local, "--output=here"], tmp_path, warm=warm).check()
    environment = bucket.environment
    job = caption("gs://bucket/there")
    run_job(job, tmp_path, environment=environment, warm=warm).check()
    assert captions("gs://bucket/there") == captions(str(tmp_path / "here"))
    assert len(captions("gs://bucket/there")) == 14

    # Nothing is new, so nothing is written that is not there.
    before = {info.path for info in files.list_files("gs://bucket/there/data")}
    run_job(job, tmp_path, environment=environment, warm=warm).check()
    assert {info.path for info in files.list_files("gs://bucket/there/data")} == before


def test_a_folder_in_a_bucket_may_be_called_like_a_glob(bucket: Bucket) -> None:
    for folder in ("trips [2024]", "trips 2", "trips [2024] more"):
        files.write_bytes(f"gs://bucket/{folder}/a/1.jpg", b"x")
    listed = [info.path for info in files.list_files("gs://bucket/trips [2024]")]
    assert listed == ["gs://bucket/trips [2024]/a/1.jpg"]


def test_preprocess_reads_and_writes_a_bucket(
    bucket: Bucket, stored: Path, warm: WarmPython, tmp_path: Path
) -> None:
    job = [
        "pipeline.preprocess",
        "--images=gs://bucket/in/images",
        "--captions=gs://bucket/in/captions.token.txt",
        "--output=gs://bucket/dataset",
        "--encoder=none",
        "--image_size=32",
        "--min_count=2",
        *UNITS,
    ]
    run_job(job, tmp_path, environment=bucket.environment, warm=warm).check()
    data = open_dataset("gs://bucket/dataset")
    assert sum(split["images"] for split in data.manifest["splits"].values()) == 12
    assert all(record.captions for record in data.records("train"))


def test_a_store_that_is_busy_now_and_then_costs_nothing(
    bucket: Bucket, stored: Path, warm: WarmPython, tmp_path: Path
) -> None:
    bucket.fault = lambda method, path: 503 if bucket.requests % 9 == 0 else 0
    job = caption("gs://bucket/busy")
    run_job(job, tmp_path, environment=bucket.environment, warm=warm).check()
    bucket.fault = no_fault
    assert len(captions("gs://bucket/busy")) == 14


def test_images_that_the_store_refuses_are_captioned_by_the_next_run(
    bucket: Bucket, stored: Path, warm: WarmPython, tmp_path: Path
) -> None:
    bucket.fault = lambda method, path: 403 if "scene-00003" in path else 0
    job = caption("gs://bucket/refused")
    run_job(job, tmp_path, environment=bucket.environment, warm=warm).check()
    with files.open_read("gs://bucket/refused/rejects.parquet") as stream:
        rejects = {row["key"]: row for row in pq.read_table(stream).to_pylist()}
    assert rejects["scene-00003.jpg"]["code"] == "image_unreadable"
    assert rejects["scene-00003.jpg"]["retryable"]
    bucket.fault = no_fault
    run_job(job, tmp_path, environment=bucket.environment, warm=warm).check()
    assert len(captions("gs://bucket/refused")) == 14


def test_what_the_store_refuses_is_not_taken_for_what_is_not_there(
    bucket: Bucket, stored: Path
) -> None:
    files.write_json("gs://bucket/claimed/configuration.json", {"job": "a"})
    bucket.fault = lambda method, path: 403 if "manifest.json" in path or "claimed" in path else 0
    for folder in ("captioner", "nothing"):
        with pytest.raises(OSError, match=f"gs://bucket/{folder}/manifest.json"):
            manifests.read(f"gs://bucket/{folder}", "manifest.json", "a", "make one")
    with pytest.raises(OSError, match=r"gs://bucket/claimed/configuration\.json"):
        claims.claim("gs://bucket/claimed", {"job": "a"}, overwrite=False)
    bucket.fault = no_fault
    with pytest.raises(UsageError, match=r"there is no manifest\.json: make one"):
        manifests.read("gs://bucket/captioner", "manifest.json", "a", "make one")
    claims.claim("gs://bucket/claimed", {"job": "a"}, overwrite=False)


def test_archives_in_a_store_that_fails_half_way_are_captioned_in_the_end(
    bucket: Bucket, stored: Path, warm: WarmPython, tmp_path: Path
) -> None:
    pictures = [(path.name, path.read_bytes()) for path in sorted(stored.glob("images/scene-*"))]
    assert len(pictures) == 12
    folder = tmp_path / "archives"
    folder.mkdir()
    write_tar(folder / "a.tar", pictures[:4])
    write_tar(folder / "b.tar.gz", pictures[4:8], "w:gz")
    write_zip(folder / "c.zip", pictures[8:])
    copy(folder, "gs://bucket/archives")
    job = caption("gs://bucket/of-archives", "gs://bucket/archives")
    expected = {f"{name}/{key}" for name, keys in _members(pictures).items() for key in keys}

    # Busy now and then, and one archive and a member of another are not handed over.
    refused = 0

    def fault(method: str, path: str) -> int:
        nonlocal refused
        if "b.tar.gz" in path and "alt=media" in path:
            return 403
        if "c.zip" in path and "alt=media" in path:
            # Its directory is read, and what comes after that is not.
            refused += 1
            return 403 if refused > 1 else 0
        return 503 if bucket.requests % 9 == 0 else 0

    bucket.fault = fault
    run_job(job, tmp_path, environment=bucket.environment, warm=warm).check()
    bucket.fault = no_fault
    first = captions("gs://bucket/of-archives")
    with files.open_read("gs://bucket/of-archives/rejects.parquet") as stream:
        rejects = pq.read_table(stream).to_pylist()
    assert {key.partition("/")[0] for key in first} == {"a.tar"}
    assert {row["code"] for row in rejects} == {"image_unreadable"}
    assert {row["key"].partition("/")[0] for row in rejects} == {"b.tar.gz", "c.zip"}
    run_job(job, tmp_path, environment=bucket.environment, warm=warm).check()
    found = captions("gs://bucket/of-archives")
    assert found.keys() == expected
    assert {key: found[key] for key in first} == first


def _members(pictures: list[tuple[str, bytes]]) -> dict[str, list[str]]:
    names = [name for name, _ in pictures]
    return {"a.tar": names[:4], "b.tar.gz": names[4:8], "c.zip": names[8:]}


def test_a_store_that_takes_no_more_ends_in_one_line_and_the_next_run_completes(
    bucket: Bucket, stored: Path, warm: WarmPython, tmp_path: Path
) -> None:
    written = 0

    def full(method: str, path: str) -> int:
        nonlocal written
        written += method in ("POST", "PUT") and "/upload/" in path
        return 403 if written > 6 and method in ("POST", "PUT") else 0

    bucket.fault = full
    job = caption("gs://bucket/full")
    began = time.monotonic()
    run = run_job(job, tmp_path, environment=bucket.environment, warm=warm)
    run.check(status=1)
    (line,) = [line for line in run.log.splitlines() if line.startswith("error: ")]
    assert "gs://bucket/full/" in line
    assert time.monotonic() - began < 120
    assert not files.exists("gs://bucket/full/captions.json")
    bucket.fault = no_fault
    run_job(job, tmp_path, environment=bucket.environment, warm=warm).check()
    assert len(captions("gs://bucket/full")) == 14
