"""Images in Parquet and TFRecord files, and lists of URIs."""

import contextlib
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.transforms.sources.archives import example, frame, write_tfrecords
from tests.transforms.sources.test_archives import codes, listed
from transforms import joining, sources
from transforms.annotations import Annotation
from transforms.errors import UsageError
from transforms.rejects import RejectCode
from transforms.sources import store, tfrecords


def parquet(path: Path, rows: list[dict[str, Any]], **settings: Any) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), path, **settings)
    return path


def found(spec: object) -> dict[str, bytes]:
    return {ref.key: sources.read(ref) for ref in listed(spec)[0]}


def test_hugging_face_rows_are_named_by_their_path(tmp_path: Path) -> None:
    rows = [
        {"image": {"bytes": b"0", "path": "d/a.jpg"}, "label": 0},
        {"image": {"bytes": b"1", "path": None}, "label": 0},
        {"image": {"bytes": b"2", "path": "/root/.cache/b.jpg"}, "label": 0},
        {"image": {"bytes": b"3", "path": "d/a.jpg"}, "label": 0},
        {"image": {"bytes": None, "path": "elsewhere.jpg"}, "label": 0},
        {"image": None, "label": 0},
        {"image": {"bytes": b"", "path": "empty.jpg"}, "label": 0},
        {"image": {"bytes": b"7", "path": "e.jpg"}, "label": 0},
    ]
    path = parquet(tmp_path / "a.parquet", rows, row_group_size=3)
    assert found(path) == {
        "d/a.jpg": b"0",
        "00000001": b"1",
        "00000002": b"2",
        "00000003": b"3",
        "e.jpg": b"7",
    }
    assert [key for key, _ in codes(path)] == ["elsewhere.jpg", "00000005", "empty.jpg"]
    assert {code for _, code in codes(path)} == {RejectCode.IMAGE_EMPTY}
    refs, _ = listed(path)
    assert refs[-1].uri == f"{path}#7"
    assert [ref.stream for ref in refs] == [(str(path), group) for group in (0, 0, 0, 1, 2)]


@pytest.mark.parametrize("names", [["00000001", None], [None, "00000000"]])
def test_a_row_called_like_the_number_of_another_is_told_from_it_by_no_caption(
    names: list[str | None], tmp_path: Path
) -> None:
    rows = [{"image": b"x", "id": name} for name in names]
    path = parquet(tmp_path / "a.parquet", rows)
    said = Annotation(names[0] or str(names[1]), ("a dog",), None, "f")
    kept, lost = joining.join(listed(path)[0], [(0, said)], [], lists_given=False)
    assert not kept and sum(each.captions for each in lost) == 1
    assert {each.reject.code for each in lost} == {RejectCode.IMAGE_AMBIGUOUS}
    assert [each.reject.message for each in lost if each.images] == [
        f"{path}#{other} has the same key: give each image in {path} a name of its own"
        for other in (1, 0)
    ]


def test_a_row_group_that_is_a_bomb_is_not_inflated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"image": {"bytes": b"1", "path": "a.jpg"}}, {"image": {"bytes": bytes(2**21)}}]
    path = parquet(tmp_path / "a.parquet", rows, row_group_size=1, compression="zstd")
    assert len(listed(path)[0]) == 2
    monkeypatch.setattr(store, "BOMB_BYTES", 2**20)
    assert [ref.key for ref in listed(path)[0]] == ["a.jpg"]
    assert codes(path) == [("a.parquet", RejectCode.ARCHIVE_BOMB)]


@pytest.mark.parametrize(
    ("columns", "keys"),
    [
        ({"jpg": b"x", "__key__": "s/1"}, ["s/1"]),
        ({"image": b"x", "embedding": b"y", "file_name": "a.png"}, ["a.png"]),
        ({"image": {"bytes": b"x"}, "id": 7}, ["00000000"]),
        ({"whatever": b"x", "id": 7}, ["7"]),
        ({"one": b"x", "other": b"y"}, None),
        ({"caption": "no image"}, None),
    ],
)
def test_columns_of_images(tmp_path: Path, columns: dict[str, Any], keys: list[str] | None) -> None:
    path = parquet(tmp_path / "a.parquet", [columns])
    if keys is not None:
        assert found(path) == dict.fromkeys(keys, b"x")
        return
    assert codes(path) == [("a.parquet", RejectCode.ARCHIVE_UNSUPPORTED)]
    with pytest.raises(UsageError, match="its columns are"):
        sources.check(str(path), "--images")
    # In a folder it is a table like others.
    assert not codes(tmp_path)


def test_a_row_group_is_read_in_any_order(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", [{"image": b"%d" % i} for i in range(100)])
    refs, _ = listed(path)
    for ref in [*refs[::7], *refs[::-9]]:
        assert sources.read(ref) == b"%d" % int(ref.key)


def test_a_damaged_parquet_file_is_refused(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", [{"image": b"%d" % i * 500} for i in range(50)])
    data = path.read_bytes()
    for broken in (data[:-20], b"PAR1" + data[-200:], data[:30] + b"\xff" * 300 + data[330:]):
        path.write_bytes(broken)
        assert RejectCode.ARCHIVE_CORRUPT in {code for _, code in codes(path)}


def test_records_are_named_by_a_feature_or_by_their_number(tmp_path: Path) -> None:
    records = [
        example(image__encoded=b"0", image__filename=b"a.jpg", image__height=300),
        example(image_raw=b"1"),
        example(image=b"2", key=b"../up.jpg"),
        example(jpg=b"3", key=b"\xff"),
        example(label=7),
        b"no example",
        example(key=b"d/b.png", png=b"6" * 70000, text=b"t"),
    ]
    for name in ("a.tfrecord", "a.TFRecords", "a.tfrec", "a.tfrecord-00001-of-00002"):
        path = write_tfrecords(tmp_path / name, records)
        assert found(path) == {
            "a.jpg": b"0",
            "00000001": b"1",
            "00000002": b"2",
            "00000003": b"3",
            "d/b.png": b"6" * 70000,
        }
        assert codes(path) == [
            ("00000004", RejectCode.ARCHIVE_UNSUPPORTED),
            ("00000005", RejectCode.MEMBER_CORRUPT),
        ]
    packed = write_tfrecords(tmp_path / "b.tfrecord.gz", records)
    assert found(packed) == found(path)


def test_records_without_images_are_no_source_unless_named(tmp_path: Path) -> None:
    path = write_tfrecords(tmp_path / "a.tfrecord", [example(label=1), example(label=2)])
    assert not codes(tmp_path)
    assert len(codes(path)) == 2
    with pytest.raises(UsageError, match="has no image; its features are none with bytes"):
        sources.check(str(path), "--images")


def test_damaged_records_are_refused(tmp_path: Path) -> None:
    data = frame([example(jpg=b"a" * 100), example(jpg=b"b" * 100), example(jpg=b"c")])
    path = tmp_path / "a.tfrecord"
    size = (len(data) - len(frame([example(jpg=b"c")]))) // 2
    body = bytearray(data)
    body[size + 50] ^= 1
    path.write_bytes(body)
    assert codes(path) == [("00000001", RejectCode.MEMBER_CORRUPT)]
    assert len(found(path)) == 2
    head = bytearray(data)
    head[size] ^= 1
    for broken in (bytes(head), data[: size + 5], data[: size + 50], data[:-2]):
        path.write_bytes(broken)
        assert codes(path) == [("a.tfrecord", RejectCode.ARCHIVE_CORRUPT)]


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_no_example_or_one(data: bytes) -> None:
    try:
        features = tfrecords.example_features(data)
    except (ValueError, IndexError):
        return
    for first, end in features.values():
        assert 0 <= first <= end <= len(data)


def test_examples_are_read_as_tensorflow_writes_them() -> None:
    from tensorflow.core.example.example_pb2 import Example

    message = Example()
    message.features.feature["image/encoded"].bytes_list.value.append(b"x" * 300)
    message.features.feature["image/encoded"].bytes_list.value.append(b"second")
    message.features.feature["scores"].float_list.value.extend([1.0, 2.0])
    message.features.feature["image/width"].int64_list.value.extend([-1, 2**40])
    data = message.SerializeToString()
    ((name, (first, end)),) = tfrecords.example_features(data).items()
    assert (name, data[first:end]) == ("image/encoded", b"x" * 300)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for name in ("a.jpg", "d/b.jpg", "odd name"):
        (tmp_path / "p" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "p" / name).write_bytes(name.encode())
    return tmp_path / "p"


def test_lists_of_uris(pictures: Path, tmp_path: Path) -> None:
    uris = ["a.jpg", "./d/b.jpg", "odd name", f"{pictures}/a.jpg", f"file://{pictures}/odd%20name"]
    uris += ["../p/a.jpg", "gone.jpg"]
    full = str(pictures).lstrip("/")
    keys = ["a.jpg", "d/b.jpg", "odd name", f"{full}/a.jpg", f"{full}/odd name", "p/a.jpg"]
    (pictures / "list.txt").write_text("\ufeff" + "\r\n".join([*uris, "", "# a comment"]))
    quoted = "".join(f'1,"{uri}"\n' for uri in uris)
    (pictures / "list.csv").write_text("id,Path\n" + quoted)
    (pictures / "list.tsv").write_text("url\tx\n" + "".join(f"{uri}\t1\n" for uri in uris))
    parquet(pictures / "list.parquet", [{"uri": uri, "n": 1} for uri in uris])
    for name in ("list.txt", "list.csv", "list.tsv", "list.parquet"):
        refs, rejects = listed(pictures / name)
        assert [ref.key for ref in refs] == keys
        assert [sources.read(ref) for ref in refs] == [
            *(b"a.jpg", b"d/b.jpg", b"odd name", b"a.jpg", b"odd name", b"a.jpg")
        ]
        assert [(r.key, r.code) for r in rejects] == [("gone.jpg", RejectCode.IMAGE_MISSING)]
    # A list is followed only where it is named.
    assert {ref.key for ref in listed(pictures)[0]} == {"a.jpg", "d/b.jpg"}


def test_the_url_of_a_file_is_its_whole_path(tmp_path: Path) -> None:
    names = ["a", "a#1.jpg", "a?x=1.jpg", "a;b.jpg"]
    for name in names:
        (tmp_path / name).write_bytes(name.encode())
    urls = [f"file://{tmp_path}/{name}" for name in names]
    urls += [f"file://localhost{tmp_path}/a%231.jpg", "file://[odd/gone.jpg"]
    (tmp_path / "list.txt").write_text("\n".join(urls))
    refs, rejects = listed(tmp_path / "list.txt")
    read = [sources.read(ref).decode() for ref in refs]
    assert read == [*names, "a#1.jpg"]
    assert [(r.uri, r.code) for r in rejects] == [("/gone.jpg", RejectCode.IMAGE_MISSING)]


def test_a_table_without_uris_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,caption\n1,x\n")
    with pytest.raises(
        UsageError, match=r"a\.csv: none of its columns \(id, caption\) is uri, url"
    ):
        sources.check(str(tmp_path / "a.csv"), "--images")
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=r"b\.txt: not a list of URIs in UTF-8"):
        sources.check(str(tmp_path / "b.txt"), "--images")


@settings(max_examples=50)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=100).map(str.encode)), st.data())
def test_arbitrary_lists_are_refused_or_followed(data: bytes, draw: st.DataObject) -> None:
    assume(b"://" not in data)
    name = draw.draw(st.sampled_from(["a.txt", "a.csv", "a.tsv", "a.parquet"]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "list", name)
        path.parent.mkdir()
        path.write_bytes(b"uri\n" + data if name.endswith("sv") else data)
        with contextlib.suppress(UsageError):
            listed(path)


def test_keys_of_several_sources_differ(tmp_path: Path) -> None:
    assert sources.prefixes(["/data/photos"]) == [""]
    assert sources.prefixes(["/data/a/photos", "/data/b/photos"]) == ["a/photos", "b/photos"]
    assert sources.prefixes(["/data/p/*.jpg", "/data/p/*.png"]) == ["", ""]
    assert sources.prefixes(["/data/a.tar", "/data/p", "gs://x/p"]) == [
        *("data/a.tar", "data/p", "gs/x/p")
    ]
    path = write_tfrecords(tmp_path / "a.tfrec", [example(jpg=b"x", key=b"y.jpg")])
    for spec in (path, tmp_path):
        prefix = "b/a.tfrec" if spec == path else "b"
        (file,) = sources.find(str(spec), prefix)
        assert [ref.key for ref in sources.expand(file)] == ["b/a.tfrec/y.jpg"]


def test_images_are_found_again_by_their_uris(tmp_path: Path) -> None:
    (tmp_path / "a#b.jpg").write_bytes(b"plain")
    path = parquet(tmp_path / "a#.parquet", [{"image": b"0"}, {"image": b"1"}])
    assert sources.archive(f"{path}#1") == str(path)
    assert sources.archive(f"{tmp_path}/a#b.jpg") is None
    gone = [f"{path}#2", f"{tmp_path}/gone.tar#a.jpg", f"{tmp_path}/gone.jpg"]
    wanted = [f"{path}#1", gone[0], f"{tmp_path}/a#b.jpg", f"{path}#0", *gone[1:]]
    assert list(sources.read_uris(wanted)) == [
        (f"{tmp_path}/a#b.jpg", b"plain"),
        (f"{path}#0", b"0"),
        (f"{path}#1", b"1"),
    ]
