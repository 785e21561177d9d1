"""Archives in a bucket: members are fetched by their ranges."""

import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.bucket import Bucket
from tests.transforms.sources.archives import write_tar, write_zip
from tests.transforms.sources.test_archives import listed
from transforms import files, sources
from transforms.rejects import RejectCode

FILES = [(f"{number}.jpg", os.urandom(100_000)) for number in range(10)]
LARGE = [(f"{number}.jpg", os.urandom(1_000_000)) for number in range(3)]


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    served = Bucket(tmp_path)
    for name, value in served.environment.items():
        monkeypatch.setenv(name, value)
    yield served
    served.close()


def test_archives_in_a_bucket(bucket: Bucket, tmp_path: Path) -> None:
    content = {
        "a.tar": write_tar(tmp_path / "a.tar", FILES),
        "b.tar.gz": write_tar(tmp_path / "b.tar.gz", FILES, "w:gz"),
        "c.zip": write_zip(tmp_path / "c.zip", FILES),
        "d.zip": write_zip(tmp_path / "d.zip", FILES, zipfile.ZIP_STORED),
    }
    for name, path in content.items():
        files.write_bytes(f"gs://bucket/photos/{name}", path.read_bytes())
    for name in content:
        refs, rejects = listed(f"gs://bucket/photos/{name}")
        assert not rejects
        assert {ref.key: sources.read(ref) for ref in refs} == dict(FILES)
        assert refs[0].modified > 0
    refs, _ = listed("gs://bucket/photos")
    assert {ref.key for ref in refs} == {f"{name}/{key}" for name in content for key, _ in FILES}
    assert {ref.key for ref in listed("gs://bucket/photos/*.zip")[0]} == {
        f"{name}/{key}" for name in ("c.zip", "d.zip") for key, _ in FILES
    }


def stored_zip(path: Path, members: list[tuple[str, bytes]]) -> Path:
    return write_zip(path, members, zipfile.ZIP_STORED)


@pytest.mark.parametrize(
    ("name", "write"), [("a.tar", write_tar), ("a.zip", write_zip), ("b.zip", stored_zip)]
)
def test_a_member_is_fetched_by_its_range(
    bucket: Bucket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    write: Callable[[Path, list[tuple[str, bytes]]], Path],
) -> None:
    from apache_beam.io.gcp.gcsio import BeamBlobReader

    files.write_bytes(f"gs://bucket/{name}", write(tmp_path / name, LARGE).read_bytes())
    refs, _ = listed(f"gs://bucket/{name}")
    windows = []
    real = BeamBlobReader.__init__

    def watched(self: BeamBlobReader, *args: object, **named: object) -> None:
        windows.append(named["chunk_size"])
        real(self, *args, **named)

    monkeypatch.setattr(BeamBlobReader, "__init__", watched)
    before = bucket.requests
    assert sources.read(refs[2]) == LARGE[2][1]
    assert sources.read(refs[0]) == LARGE[0][1]
    assert windows == [files.RANDOM_BYTES]
    # One request of the object's facts, and one for each member.
    assert bucket.requests - before <= 4


def test_names_in_a_list_are_no_globs(bucket: Bucket, tmp_path: Path) -> None:
    names = ("a[1].jpg", "b*.jpg", "missing.jpg")
    uris = [f"gs://bucket/{name}" for name in names]
    for uri in uris[:2]:
        files.write_bytes(uri, uri.encode())
    (tmp_path / "list.txt").write_text("\n".join(uris))
    refs, rejects = listed(tmp_path / "list.txt")
    assert [(ref.uri, ref.size) for ref in refs] == [(uri, len(uri)) for uri in uris[:2]]
    assert [(reject.uri, reject.code) for reject in rejects] == [
        (uris[2], RejectCode.IMAGE_MISSING)
    ]
    assert all(ref.modified > 0 for ref in refs)
    assert [sources.read(ref) for ref in refs] == [uri.encode() for uri in uris[:2]]
    bucket.fault = lambda method, path: 403
    _, rejects = listed(tmp_path / "list.txt")
    assert {reject.code for reject in rejects} == {RejectCode.IMAGE_UNREADABLE}


def test_a_bucket_that_fails_is_worth_another_try(bucket: Bucket, tmp_path: Path) -> None:
    write_zip(tmp_path / "a.zip", FILES)
    files.write_bytes("gs://bucket/a.zip", (tmp_path / "a.zip").read_bytes())
    refs, _ = listed("gs://bucket/a.zip")
    bucket.fault = lambda method, path: 403
    with pytest.raises(OSError):
        sources.read(refs[0])
    _, rejects = listed("gs://bucket/a.zip")
    assert [reject.code for reject in rejects] == [RejectCode.IMAGE_UNREADABLE]
    bucket.fault = lambda method, path: 0
    assert sources.read(refs[0]) == FILES[0][1]
