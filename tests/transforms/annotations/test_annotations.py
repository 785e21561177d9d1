"""Recognising formats, checking files before work, class folders, real files."""

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import data
from tests.transforms.annotations.files import holding
from tests.transforms.annotations.test_tables import parquet
from tests.transforms.annotations.test_trees import COCO
from transforms.annotations import FORMATS, Annotation, check, detect, from_folders, read
from transforms.errors import UsageError
from transforms.files import open_read
from transforms.rejects import Reject

KARPATHY = {"images": [{"filename": "a.jpg", "split": "val", "sentences": [{"raw": "A dog"}]}]}
EXAMPLES: dict[str, bytes] = {
    "flickr": b"a.jpg#0\tA dog\na.jpg#1\tA pet\n",
    "coco": json.dumps(COCO).encode(),
    "karpathy": json.dumps(KARPATHY, indent=2).encode(),
    "csv": b'image,caption\na.jpg,"A dog"\n',
    "tsv": b"image\tcaption\na.jpg\tA dog, a pet\n",
    "jsonl": b'{"image": "a.jpg", "caption": "A dog"}\n',
    "parquet": parquet(image=["a.jpg"], caption=["A dog"]),
    "hf": b'{"file_name": "a.jpg", "text": "A dog"}\n',
}


@pytest.mark.parametrize("format", EXAMPLES)
def test_formats_are_recognised_by_content_and_selectable(format: str) -> None:
    path = "x/metadata.jsonl" if format == "hf" else "x/captions.txt"
    for selected in ("auto", format):
        found, head = check(holding(EXAMPLES[format]), path, selected)
        assert found == format
        assert head[0].captions[0].startswith("A ")


@pytest.mark.parametrize(
    ("content", "format"),
    [
        ('{"info": {}, "licenses": [{"id": 1}], "images": [{"file_name"', "coco"),
        ('[ {"image": "a.jpg", "caption": "A"}, {"im', "jsonl"),
        ('{"annotations": [{"image_id": 1, "id": 1, "caption": "A', "coco"),
        ('{"images": [{"filepath": "val2014", "sentids": [1, 2], "filename"', "karpathy"),
        ("\ufeffimage;n;caption\n", "csv"),
        ("a.jpg,A dog\nb.jpg,A cat\n", "csv"),
        ("a.jpg\tA dog, a pet\n", "tsv"),
        ("\n\na.jpg#0 A dog\n", "flickr"),
        ("2258277193_586949ec62.jpg.1#0\tpeople waiting\n", "flickr"),
    ],
)
def test_the_head_of_a_file_is_enough(content: str, format: str) -> None:
    assert detect("captions", content.encode()) == format


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the caption file is empty"),
        (b" \n\n", "the caption file is empty"),
        (b"\x1f\x8b\x08\x00\x00", "unpack it if it is compressed"),
        (b"just words\nand more\n", "not recognised as a caption file; choose its format"),
        (b"width,height\n1,2\n", "not recognised"),
        (
            b"picture,description\n1.jpg,A dog\n",
            r"columns of a table \(picture,description\): for the image one of file_name, .*, id,"
            " and for the caption one of caption, .*, label; or choose its format, one of flickr",
        ),
        (b'{"a": 1}', "not recognised"),
        (b'[{"image": "a.jpg", "width": 1}]', "not recognised"),
        (b'["a.jpg", "A"]', "not recognised"),
        (b'[{"image": "a.jpg", "caption": "A"}, {', "not a usable jsonl caption file: not JSON"),
    ],
)
def test_what_fits_no_format_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(UsageError, match=f"^dir/c: .*{message}"):
        check(holding(content), "dir/c", "auto")


@pytest.mark.parametrize(
    ("format", "other"),
    # Lines of JSON are the same lines in both, read with other names.
    [pair for pair in itertools.permutations(EXAMPLES, 2) if sorted(pair) != ["hf", "jsonl"]],
)
def test_a_wrongly_selected_format_is_refused_in_one_line(format: str, other: str) -> None:
    with pytest.raises(UsageError) as caught:
        check(holding(EXAMPLES[format]), "dir/c", other)
    message = str(caught.value)
    assert message.startswith(f"dir/c: not a usable {other} caption file: ")
    assert "; expected " in message
    assert "\n" not in message


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for format in ("auto", "csv", "coco"):
        for path in (tmp_path / "none.csv", tmp_path):
            with pytest.raises(UsageError, match=r"cannot be read .*; check the path"):
                check(open_read, str(path), format)
    with pytest.raises(UsageError, match="unknown caption format 'xml': choose auto, flickr"):
        check(open_read, "c", "xml")


def test_bad_rows_do_not_hinder_a_file_with_good_ones() -> None:
    content = b"junk\n" * 30 + b"a.jpg#0\tA dog\n"
    assert len(check(holding(content), "c", "flickr")[1]) == 1
    with pytest.raises(
        UsageError, match=r"not `name#number<tab>caption` \(row 1\); expected lines"
    ):
        check(holding(b"junk\n" * 30), "c", "flickr")


def test_the_check_reads_no_more_than_the_head() -> None:
    content = b"".join(b"%d.jpg#0\tA dog\n" % i for i in range(3000))
    assert len(check(holding(content), "c", "auto")[1]) == 1000


def test_class_folders() -> None:
    assert check(open_read, "anything", "folders") == ("folders", [])
    for key, caption, split in (
        ("golf_course/1.jpg", "golf course", None),
        ("train/SeaLake/1.jpg", "Sea Lake", "train"),
        ("x/validation/001.Black_footed-Albatross/1.jpg", "Black footed Albatross", "dev"),
        ("7/1.jpg", "7", None),
        ("Test/train/1.jpg", "train", "test"),
        ("veh/car.zip/001.jpg", "car", None),
        ("train.tar.gz/car/001.jpg", "car", "train"),
        ("train.tfrecord-00000-of-00001/car/1.jpg", "car", "train"),
    ):
        assert from_folders(key) == Annotation(key, (caption,), split, key)
    for key in ("1.jpg", "train/1.jpg", "", "__/1.jpg", "train.tar/1.jpg"):
        assert from_folders(key) is None


@pytest.mark.parametrize(
    ("file", "format", "images", "captions"),
    [
        ("flickr8k/Flickr8k.token.txt", "flickr", 7000, 35000),
        ("flickr8k_cn/flickr8kzhc.caption.txt", "flickr", 7000, 35000),
        ("ucm/dataset_ucm.json", "karpathy", 1890, 9450),
        ("coco_mini/captions_val2017.json", "coco", 79, 395),
    ],
)
def test_real_files(file: str, format: str, images: int, captions: int) -> None:
    folder, name = file.split("/")
    path = str(data.shared(folder) / name)
    assert check(open_read, path, "auto")[0] == format
    rows = [row for row in read(open_read, path, format) if isinstance(row, Annotation)]
    assert len({row.name for row in rows}) == images
    assert sum(len(row.captions) for row in rows) == captions


SHAPED = st.sampled_from([*EXAMPLES.values(), b"{", b"[", b"\xff\xfe", b"PAR1", b'"', b"\n", b"\0"])
BYTES = st.one_of(st.binary(), st.lists(st.one_of(SHAPED, st.binary(max_size=4))).map(b"".join))


@given(BYTES)
def test_detection_raises_nothing_but_usage_errors(content: bytes) -> None:
    try:
        assert detect("c", content) in FORMATS
    except UsageError as error:
        assert "\n" not in str(error)


@given(BYTES, st.sampled_from([name for name in FORMATS if name != "folders"]))
def test_reading_any_bytes_gives_rows_or_one_usage_error(content: bytes, format: str) -> None:
    try:
        for row in read(holding(content), "c", format):
            assert isinstance(row, Annotation | Reject)
            if isinstance(row, Annotation):
                assert row.name
                assert all(caption.strip() for caption in row.captions)
                "".join((row.name, *row.captions)).encode()
    except UsageError as error:
        assert str(error).startswith("c: ")
        assert "\n" not in str(error)
