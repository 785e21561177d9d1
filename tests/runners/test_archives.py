"""The captioning job over archives on distributed engines, for two nights: the bytes of local runs.

Run by `make test-runners`.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests import captioners
from tests.faults.jobs import run_job, tree
from tests.runners.test_engines import LOCAL, TIMEOUT, UNITS
from tests.transforms.sources.archives import example, write_tar, write_tfrecords, write_zip
from transforms import captions_table

COUNT = 18

# A test's time includes that of what it compares with.
pytestmark = pytest.mark.timeout(1200)


def write_first(folder: Path, jpegs: list[bytes]) -> None:
    """Write an archive of each kind, one of which is damaged, and a copy of a member."""
    folder.mkdir()
    write_tar(folder / "plain.tar", [(f"{n}.jpg", jpegs[n]) for n in range(4)])
    write_tar(folder / "packed.tar.gz", [(f"{n}.jpg", jpegs[n]) for n in range(4, 8)], "w:gz")
    write_zip(folder / "a.zip", [("d/8.jpg", jpegs[8]), ("9.jpg", jpegs[9]), ("x.jpg", b"none")])
    sample = [("s/1.jpg", jpegs[10]), ("s/1.json", b"{}"), ("s/1.seg.png", b"mask")]
    write_tar(folder / "webdataset.tar", sample)
    images = [{"image": {"bytes": jpegs[n], "path": f"{n}.jpg"}} for n in (11, 12, 13)]
    pq.write_table(pa.Table.from_pylist(images), folder / "rows.parquet", row_group_size=2)
    write_tfrecords(folder / "r.tfrecord", [example(image__encoded=jpegs[14])])
    (folder / "copy.jpg").write_bytes(jpegs[5])
    (folder / "cut.tar").write_bytes((folder / "plain.tar").read_bytes()[:700])


def write_second(folder: Path, jpegs: list[bytes]) -> None:
    """Add an archive with new images, known ones and a known bad one; change another."""
    new = [("new.jpg", jpegs[15]), ("known.jpg", jpegs[8]), ("bad.jpg", b"none")]
    write_tar(folder / "second.tar.bz2", new, "w:bz2")
    write_zip(folder / "a.zip", [("d/8.jpg", jpegs[16]), ("9.jpg", jpegs[9]), ("x.jpg", b"none")])


def test_archives_on_an_engine_give_the_table_of_local_runs(
    engine: list[str], captioner_folder: Path, tmp_path: Path
) -> None:
    jpegs = captioners.jpegs(COUNT)
    images = tmp_path / "images"
    job = ["pipeline.caption", f"--images={images}", f"--captioner={captioner_folder}", *UNITS]

    def night() -> None:
        for name, runner in (("local", LOCAL), ("there", engine)):
            run = run_job([*job, f"--output={name}", *runner], tmp_path, timeout=TIMEOUT)
            run.check()
        assert tree(tmp_path / "there") == tree(tmp_path / "local")

    write_first(images, jpegs)
    night()
    rows = {row["key"]: row for row in captions_table.rows(str(tmp_path / "there"))}
    assert len(rows) == 16
    assert rows["copy.jpg"]["caption"] == rows["packed.tar.gz/5.jpg"]["caption"]
    write_second(images, jpegs)
    night()
    after = {row["key"]: row for row in captions_table.rows(str(tmp_path / "there"))}
    assert after.keys() - rows.keys() == {"second.tar.bz2/new.jpg", "second.tar.bz2/known.jpg"}
    rejects = pq.read_table(tmp_path / "there" / "rejects.parquet").to_pylist()
    assert sorted((reject["key"], reject["code"]) for reject in rejects) == [
        ("a.zip/x.jpg", "image_not_an_image"),
        ("cut.tar", "archive_corrupt"),
        ("cut.tar/0.jpg", "archive_corrupt"),
        ("second.tar.bz2/bad.jpg", "image_not_an_image"),
        ("webdataset.tar/s/1.seg.png", "member_secondary"),
    ]
