"""The same pictures from every kind of source end in the same data set."""

import csv
import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import preprocess
from tests.transforms.sources.archives import example, write_tar, write_tfrecords, write_zip
from transforms import sample
from transforms.commandline import Exit
from transforms.dataset import open_dataset

COUNT = 12

Pictures = list[tuple[str, bytes]]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    sample.write(folder, COUNT)
    return folder


def pictures_of(scenes: Path) -> Pictures:
    return [(path.name, path.read_bytes()) for path in sorted((scenes / "images").iterdir())]


def webdataset(path: Path, pictures: Pictures) -> None:
    with tarfile.open(path, "w") as shard:
        for name, data in pictures:
            for member, content in ((name, data), (name.replace(".jpg", ".json"), b"{}")):
                info = tarfile.TarInfo(member)
                info.size = len(content)
                shard.addfile(info, io.BytesIO(content))


def hugging_face(path: Path, pictures: Pictures) -> None:
    rows = [{"image": {"bytes": data, "path": name}, "label": 1} for name, data in pictures]
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=5)


def uri_table(path: Path, pictures: Pictures) -> None:
    folder = path.parent / "listed"
    folder.mkdir()
    with path.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["id", "uri"])
        for number, (name, data) in enumerate(pictures):
            (folder / name).write_bytes(data)
            rows.writerow([number, f"listed/{name}" if number % 2 else folder / name])


def tfrecord(path: Path, pictures: Pictures) -> None:
    write_tfrecords(
        path,
        (
            example(image__encoded=data, image__filename=name.encode(), image__width=256)
            for name, data in pictures
        ),
    )


def gzipped_tar(path: Path, pictures: Pictures) -> None:
    write_tar(plain := path.with_suffix(""), pictures)
    path.write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()


SOURCES: dict[str, Callable[[Path, Pictures], object]] = {
    "photos.tar": write_tar,
    "photos.tar.gz": gzipped_tar,
    "photos.zip": write_zip,
    "stored.zip": lambda path, pictures: write_zip(path, pictures, zipfile.ZIP_STORED),
    "shard-000.tar": webdataset,
    "train-00000-of-00001.parquet": hugging_face,
    "list.csv": uri_table,
    "train.tfrecord-00000-of-00001": tfrecord,
    "train.tfrecord.gz": tfrecord,
}


def run(scenes: Path, output: Path, *images: object) -> dict[str, bytes]:
    """Run the job; returns the stored image of every sha256."""
    captions = output.parent / "captions.token.txt"
    if not captions.exists():
        captions.write_text((scenes / "captions.token.txt").read_text())
    flags = [
        *(f"--images={spec}" for spec in images),
        f"--captions={captions}",
        f"--output={output}",
        *("--encoder=none", "--image_size=32", "--min_count=1", "--unit_size=5"),
        *("--dev_fraction=0", "--test_fraction=0"),
    ]
    assert preprocess.main(flags) is Exit.DONE
    dataset = open_dataset(output)
    return {record.sha256: record.image or b"" for record in dataset.records("train")}


@pytest.fixture(scope="module")
def expected(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    found = run(scenes, tmp_path_factory.mktemp("folder") / "out", scenes / "images")
    assert len(found) == COUNT
    return found


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_gives_the_same_pictures(
    scenes: Path, expected: dict[str, bytes], tmp_path: Path, name: str
) -> None:
    SOURCES[name](tmp_path / name, pictures_of(scenes))
    assert run(scenes, tmp_path / "out", tmp_path / name) == expected


def test_sources_add_up_and_a_file_named_twice_counts_once(
    scenes: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    pictures = pictures_of(scenes)
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for name, data in pictures[:3]:
        (mixed / name).write_bytes(data)
    write_tar(mixed / "b.tar", pictures[3:6])
    gzipped_tar(mixed / "c.tar.gz", pictures[6:9])
    write_zip(tmp_path / "d.zip", pictures[9:])
    specs = (mixed, f"{mixed}/*.jpg", mixed / "b.tar", tmp_path / "d.zip")
    assert run(scenes, tmp_path / "out", *specs) == expected
    books = open_dataset(tmp_path / "out").manifest["books"]["images"]
    assert books == {"listed": COUNT, "done": COUNT, "rejected": 0, "duplicates": 0}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_hostile_archives_end_in_their_codes(scenes: Path, tmp_path: Path) -> None:
    pictures = pictures_of(scenes)
    folder = tmp_path / "hostile"
    folder.mkdir()
    data = pictures[0][1]

    def packed(write: Callable[..., Path], files: Pictures) -> bytearray:
        return bytearray(write(tmp_path / "one", files).read_bytes())

    encrypted = packed(write_zip, [("encrypted.jpg", data)])
    encrypted[encrypted.index(b"PK\1\2") + 8] |= 1
    lying = packed(write_zip, [("lying.jpg", bytes(10**6))])
    directory = lying.index(b"PK\1\2")
    lying[directory + 24 : directory + 28] = (1000).to_bytes(4, "little")
    huge = packed(write_zip, [("huge.jpg", b"")])
    directory = huge.index(b"PK\1\2")
    huge[directory + 24 : directory + 28] = (2**32 - 2).to_bytes(4, "little")
    header = packed(write_tar, pictures[:2])
    header[512 + (len(data) + 511) // 512 * 512 + 10] ^= 0xFF
    table = tmp_path / "table"
    hugging_face(table, [("none.jpg", b"")])
    hostile = {
        "encrypted.zip": encrypted,
        "lying.zip": lying,
        "huge.zip": huge,
        "header.tar": header,
        "cut.tar.gz": gzip.compress(packed(write_tar, pictures))[:-100],
        "twice.zip": packed(write_zip, [("twice.jpg", data), ("twice.jpg", data)]),
        "up.zip": packed(write_zip, [("../up.jpg", data)]),
        "lzma.zip": packed(lambda path, files: write_zip(path, files, 14), [("lzma.jpg", data)]),
        "garbage.zip": b"PK garbage",
        "garbage.tgz": b"garbage",
        "garbage.parquet": b"PAR1garbagePAR1",
        "garbage.tfrecord": b"garbage",
        "none.parquet": table.read_bytes(),
        "empty.tar": b"",
    }
    for file, content in hostile.items():
        (folder / file).write_bytes(content)
    (folder / "good.jpg").write_bytes(data)
    names = ("good", "lying")
    (tmp_path / "captions.token.txt").write_text("".join(f"{n}.jpg#0\ta scene\n" for n in names))
    assert len(run(scenes, tmp_path / "out", folder)) == 1
    found = {
        (row["key"], row["code"])
        for row in pq.read_table(tmp_path / "out" / "rejects.parquet").to_pylist()
        if row["code"] != "caption_missing"
    }
    assert found == {
        ("lying.zip/lying.jpg", "member_corrupt"),
        ("encrypted.zip/encrypted.jpg", "member_encrypted"),
        ("huge.zip/huge.jpg", "image_too_many_bytes"),
        ("header.tar", "archive_corrupt"),
        ("cut.tar.gz", "archive_corrupt"),
        ("twice.zip/twice.jpg", "member_duplicate"),
        ("up.zip/../up.jpg", "member_unsafe"),
        ("lzma.zip/lzma.jpg", "member_unsupported"),
        ("garbage.zip", "archive_corrupt"),
        ("garbage.tgz", "archive_corrupt"),
        ("garbage.parquet", "archive_corrupt"),
        ("garbage.tfrecord", "archive_corrupt"),
        ("none.parquet/none.jpg", "image_empty"),
        ("empty.tar", "archive_corrupt"),
    }
    books = open_dataset(tmp_path / "out").manifest["books"]["images"]
    assert books["listed"] == books["done"] + books["rejected"] + books["duplicates"]


def test_what_an_archive_refuses_is_in_the_books(scenes: Path, tmp_path: Path) -> None:
    pictures = pictures_of(scenes)
    hostile = [("../" + pictures[0][0], b"x"), ("/etc/x.jpg", b"x"), ("\udce9.jpg", b"x")]
    path = tmp_path / "a.tar"
    write_tar(path, [*pictures, *hostile], encoding="utf-8", errors="surrogateescape")
    path.write_bytes(path.read_bytes().rstrip(b"\0"))  # No end marker.
    assert len(run(scenes, tmp_path / "out", path)) == COUNT
    books = open_dataset(tmp_path / "out").manifest["books"]["images"]
    assert books["listed"] == COUNT + len(hostile) + 1
    assert books["rejected"] == len(hostile) + 1
    rows = pq.read_table(tmp_path / "out" / "rejects.parquet").to_pylist()
    assert sorted(row["code"] for row in rows) == [
        *("archive_corrupt", "member_name_invalid", "member_unsafe", "member_unsafe")
    ]
