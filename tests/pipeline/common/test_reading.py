"""Reading the images of a unit: in one pass where need be, in an order that is always the same."""

import hashlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.common import fingerprints, reading
from tests.transforms.sources.archives import write_tar
from transforms import images, sources
from transforms.rejects import Reject, RejectCode
from transforms.sources import ImageRef, reference, store


def picture(number: int) -> bytes:
    return images.to_jpeg(np.full((8, 8, 3), number * 5, np.uint8))


def refs_of(spec: object) -> list[ImageRef]:
    return list(sources.list_images(str(spec)))


def read(refs: list[ImageRef]) -> list[tuple[str, images.Picture | Reject]]:
    wanted = [(ref.key, ref, str(fingerprints.fingerprint(ref))) for ref in refs]
    wanted.sort(key=lambda one: one[2])  # As units are sorted, and no archive is.
    batches = reading.batches(wanted, images.decode, batch_size=4, readers=3)
    return [pair for batch in batches for pair in batch]


@pytest.fixture
def archives(tmp_path: Path) -> Path:
    pictures = [(f"{number}.jpg", picture(number)) for number in range(20)]
    (tmp_path / "0.jpg").write_bytes(picture(30))
    write_tar(tmp_path / "a.tar", pictures[:6])
    write_tar(tmp_path / "b.tar.gz", pictures[6:13], "w:gz")
    rows = [{"image": {"bytes": data, "path": name}} for name, data in pictures[13:]]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "c.parquet")
    return tmp_path


def test_every_image_is_read_and_compressed_archives_once(
    archives: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refs = refs_of(archives)
    opened: list[str] = []
    real = store.files.open_read
    monkeypatch.setattr(
        store.files, "open_read", lambda path: opened.append(Path(path).name) or real(path)
    )
    found = dict(read(refs))
    assert len(found) == 21
    for key, result in found.items():
        assert isinstance(result, images.Picture)
        number = 30 if key == "0.jpg" else int(Path(key).stem)
        assert abs(int(result.pixels[0, 0, 0]) - number * 5) <= 2
    assert opened.count("b.tar.gz") == opened.count("c.parquet") == 1


def test_images_of_compressed_archives_wait_in_bounded_memory(
    archives: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refs = [ref for ref in refs_of(archives) if ref.stream is not None]
    assert len(refs) == 14
    lock, waiting, most = threading.Lock(), 0, 0
    load = reading._load

    def loaded(ref: ImageRef) -> bytes | Reject:
        nonlocal waiting, most
        data = load(ref)
        with lock:
            waiting += 1
            most = max(most, waiting)
        return data

    def decoded(data: bytes) -> images.Picture:
        nonlocal waiting
        time.sleep(0.01)
        found = images.decode(data)
        with lock:
            waiting -= 1
        return found

    wanted = [(ref.key, ref, ref.sha256) for ref in refs]
    monkeypatch.setattr(reading, "_load", loaded)
    monkeypatch.setattr(reading, "QUEUED_BYTES", 2 * refs[0].size)
    batches = reading.batches(wanted, decoded, 4, readers=2)
    found = [pair for batch in batches for pair in batch]
    assert all(isinstance(result, images.Picture) for _, result in found)
    assert len(found) == 14 and 2 <= most <= 4


def test_the_order_depends_on_the_images_alone(archives: Path) -> None:
    refs = refs_of(archives)
    assert [key for key, _ in read(refs)] == [key for key, _ in read(refs[::-1])]


def test_contents_are_found_in_order_by_several_threads(
    archives: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 10):
        (archives / f"{number}.jpg").write_bytes(picture(30 + number))
    refs = [ref for ref in refs_of(archives) if not ref.key.startswith(("b.tar", "c.parquet"))]
    (archives / "5.jpg").unlink()
    main = threading.get_ident()
    chunks = sources.chunks

    def elsewhere(ref: ImageRef) -> Iterator[bytes]:
        assert threading.get_ident() != main
        return chunks(ref)

    monkeypatch.setattr(fingerprints.sources, "chunks", elsewhere)
    found = list(fingerprints.fingerprint_all(refs, readers=4))
    for ref, result in zip(refs, found, strict=True):
        if ref.key == "5.jpg":
            assert isinstance(result, Reject) and result.code == RejectCode.IMAGE_MISSING
        else:
            assert result == hashlib.sha256(sources.read(ref)).hexdigest()
    assert len(found) == 16


def test_a_changed_archive_is_noticed(archives: Path) -> None:
    refs = [ref for ref in refs_of(archives) if ref.key.startswith(("a.tar", "b.tar"))]
    wanted = [(ref.key, ref, str(fingerprints.fingerprint(ref))) for ref in refs]
    changed = [(f"{number}.jpg", picture(number + 1)) for number in range(13)]
    write_tar(archives / "new.tar", changed[:6]).rename(archives / "a.tar")
    write_tar(archives / "new.tgz", changed[6:13], "w:gz").rename(archives / "b.tar.gz")
    batches = reading.batches(wanted, images.decode, batch_size=4, readers=2)
    codes = {result.code for batch in batches for _, result in batch if isinstance(result, Reject)}
    assert codes == {RejectCode.IMAGE_CHANGED}


def test_what_is_read_in_one_pass_stays_in_one_unit(
    archives: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def identities(name: str) -> set[str]:
        refs = [ref for ref in refs_of(archives) if ref.key.startswith(name)]
        return {fingerprints.identity(ref, str(fingerprints.fingerprint(ref))) for ref in refs}

    assert len(identities("a.tar")) == 6
    assert len(identities("b.tar.gz")) == len(identities("c.parquet")) == 1
    assert hashlib.sha256(picture(0)).hexdigest() in identities("a.tar")
    # A large archive is divided, so that a unit fits in memory.
    monkeypatch.setattr("transforms.sources.tars.PART_SIZE", 3)
    assert reference.PART_SIZE > 1000
    assert len(identities("b.tar.gz")) == 3


def test_an_archive_that_has_gone_rejects_its_images(archives: Path) -> None:
    refs = [ref for ref in refs_of(archives) if "/" in ref.key]
    wanted = [(ref.key, ref, ref.sha256 or "0") for ref in refs]
    for name in ("a.tar", "b.tar.gz", "c.parquet"):
        (archives / name).unlink()
    batches = reading.batches(wanted, images.decode, batch_size=4, readers=2)
    results = [result for batch in batches for _, result in batch]
    assert len(results) == 20
    assert {r.code for r in results if isinstance(r, Reject)} == {RejectCode.IMAGE_MISSING}
