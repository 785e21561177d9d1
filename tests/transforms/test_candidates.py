"""Captions to be judged are read from every form that people have them in."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transforms import candidates
from transforms.candidates import Candidate
from transforms.errors import UsageError

PAIRS = [("a/1.jpg", "a dog, running"), ("b.png", "两只\u2028狗")]


def write(tmp_path, content, name="captions"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def as_parquet(path):
    pq.write_table(pa.table({"key": [k for k, _ in PAIRS], "caption": [c for _, c in PAIRS]}), path)
    return path.read_bytes()


@pytest.mark.parametrize(
    "form",
    [
        lambda _: json.dumps([{"image_id": key, "caption": caption} for key, caption in PAIRS]),
        lambda _: "\n".join(
            json.dumps({"key": key, "caption": caption}, ensure_ascii=False)
            for key, caption in PAIRS
        ),
        lambda _: "image,caption\n" + "".join(f'{key},"{caption}"\n' for key, caption in PAIRS),
        lambda _: "\ufefffile_name\ttext\r\n" + "".join(f"{k}\t{c}\r\n" for k, c in PAIRS),
        as_parquet,
    ],
    ids=["coco", "jsonl", "csv", "tsv", "parquet"],
)
def test_every_file_format_is_recognised_by_content(tmp_path, form):
    path = write(tmp_path, form(tmp_path / "made"))
    assert candidates.read(path) == [Candidate(key, caption) for key, caption in PAIRS]


def test_all_that_a_row_knows_is_kept(tmp_path):
    row = {"key": "a.jpg", "uri": "/p/a.jpg", "width": 640, "height": 480, "score": -0.5}
    path = write(tmp_path, json.dumps(row | {"caption": "", "alternatives": []}))
    assert candidates.read(path) == [Candidate("a.jpg", "", "/p/a.jpg", (640, 480), -0.5)]


def test_numbers_as_coco_has_them_are_names(tmp_path):
    path = write(tmp_path, '[{"image_id": 139, "caption": "a room"}]')
    assert candidates.read(path)[0].key == "139"


@pytest.mark.parametrize(
    "content, message",
    [
        ("", "no header"),
        ("[]", "no caption in it"),
        ("image,caption\n", "no caption in it"),
        ("[{]", "not JSON"),
        ('[{"image_id": 1}]', "entry 0: there is no caption"),
        ('{"key": "a", "caption": "b"}\n{"key": "a", "caption": "c"}', ":2: a second caption of a"),
        ('{"key": "a", "caption": "b"}\n{"key"', ":2: this is not a line of JSON"),
        ('{"caption": "b"}', ":1: there is no image"),
        ("[1, 2]", "entry 0: this is not an object"),
        ('{"key": "a", "caption": "b", "score": "high"}', "must be numbers"),
        ('{"key": "a", "caption": "b", "width": Infinity, "height": 1}', "must be numbers"),
        ('{"key": "a", "caption": "b", "uri": 5}', ":1: uri must be text"),
        ("name;text\na;b\n", "no header"),
        ("image,caption\na.jpg\n", ":2: 1 columns, not 2"),
        ("image,caption\n0.jpg,a red ball, with comma\n", ":2: 3 columns, not 2: quote a caption"),
        ("image\tcaption\n0.jpg\ta ball\n1.jpg\ta\tb\n", ":3: 3 columns, not 2"),
        ('image,caption\n0.jpg,"a ball\n' + "1.jpg,a\n" * 30, ":2: a quote is not closed"),
        ('image,"caption\n0.jpg,a ball\n', ":1: a quote is not closed"),
        ("image,caption\r0.jpg,a ball\r1.jpg", ":3: 1 columns, not 2"),
        (f"image,{'x' * 131_073}\n0.jpg,a ball\n", ":1: a cell has more than 131,072 characters"),
        (f"image,caption\n0.jpg,{'x' * 131_073}\n", ":2: a cell has more than 131,072 characters"),
        (b"PAR1 broken", "Parquet"),
        (b"\xff\xfe\x00", "no text in UTF-8"),
    ],
)
def test_wrong_files_are_named_with_the_place(tmp_path, content, message):
    path = write(tmp_path, content)
    with pytest.raises(UsageError) as caught:
        candidates.read(path)
    assert message in str(caught.value) and path in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_stray_quote_in_a_tsv_swallows_no_row(tmp_path):
    path = write(tmp_path, 'file\tcaption\na.jpg\t"a ball\nb.jpg\ta dog\n')
    assert [(c.key, c.caption) for c in candidates.read(path)] == [
        ("a.jpg", '"a ball'),
        ("b.jpg", "a dog"),
    ]


def test_an_unfinished_captions_directory_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"captions\.json"):
        candidates.read(str(tmp_path))
    with pytest.raises(UsageError, match="cannot be read"):
        candidates.read(str(tmp_path / "absent.json"))
