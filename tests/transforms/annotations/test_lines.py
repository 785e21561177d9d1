"""Token files, JSON Lines and metadata.jsonl."""

import json

import pytest

from tests.transforms.annotations.files import bad, good, holding, rows
from transforms.annotations import Annotation, detect, read, read_names
from transforms.errors import UsageError
from transforms.rejects import Reject, RejectCode


def test_flickr_lines() -> None:
    text = "a.jpg#0\tA dog runs .\nb b.jpg#12\tTwo # 1 dogs\n\na.jpg#1\t A cat \r\n"
    assert good(text, "flickr") == [
        ("a.jpg", ["A dog runs ."], None),
        ("b b.jpg", ["Two # 1 dogs"], None),
        ("a.jpg", [" A cat "], None),
    ]


def test_flickr_lines_with_a_language() -> None:
    text = "a.jpg#zhc#0 两只狗。\na.jpg#enc#1\tTwo dogs\na.jpg#zhb#10　狗"
    assert [captions for _, captions, _ in good(text, "flickr")] == [
        *(["两只狗。"], ["Two dogs"], ["狗"])
    ]


def test_a_bad_line_is_a_reject_with_its_place() -> None:
    text = b"a.jpg#0\tA dog\na.jpg A cat\n#1\tno name\nb.jpg#0\t \n" + b"c.jpg#0\t\xff\n"
    assert bad(text + b"d.jpg#0\tA bird", "flickr", "dir/f.txt") == [
        ("dir/f.txt:2", "caption_malformed: not `name#number<tab>caption`"),
        ("dir/f.txt:3", "caption_malformed: not `name#number<tab>caption`"),
        ("dir/f.txt:4", "caption_empty: the caption is empty"),
        ("dir/f.txt:5", "caption_malformed: not UTF-8 text: save the file as UTF-8"),
    ]
    reject = next(row for row in rows(text, "flickr", "f") if isinstance(row, Reject))
    assert (reject.stage, reject.key) == ("join", "f:2")
    assert rows(b"b.jpg#0\t\n", "flickr", "f") == [
        Reject("b.jpg", "f:1", "join", RejectCode.CAPTION_EMPTY, "the caption is empty")
    ]


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("./a.jpg", "a.jpg"),
        ("images\\\\sub\\\\a.jpg", "images/sub/a.jpg"),
        (".\\\\x//y/./a.jpg ", "x/y/a.jpg"),
        ("/data/a.jpg", "/data/a.jpg"),
        ("//data/a.jpg", "/data/a.jpg"),
        ("C:\\\\data\\\\a.jpg", "C:/data/a.jpg"),
        ("x/../a.jpg", "a.jpg"),
        ("gs://bucket//x/./a.jpg", "gs://bucket/x/a.jpg"),
        ("犬.jpg", "犬.jpg"),
    ],
)
def test_names_have_one_spelling(written: str, name: str) -> None:
    assert good(f'{{"image": "{written}", "caption": "A dog"}}', "jsonl")[0][0] == name


def test_json_lines() -> None:
    text = "\n".join(
        [
            '{"file_name": "a.jpg", "caption": "A dog", "split": "val"}',
            '{"image": "b.jpg", "captions": ["One", null, "", "Two"]}',
            '{"id": 7, "filename": "c.jpg", "sentences": [{"raw": "Three"}], "split": "restval"}',
            '{"image_id": 42, "text": "Four", "split": ""}',
            '{"path": "d.jpg", "caption_2": "second", "caption_1": "first"}',
        ]
    )
    assert good("\ufeff" + text, "jsonl") == [
        ("a.jpg", ["A dog"], "dev"),
        ("b.jpg", ["One", "Two"], None),
        ("c.jpg", ["Three"], "train"),
        ("42", ["Four"], None),
        ("d.jpg", ["second", "first"], None),
    ]


def test_an_array_of_json_objects_is_read_as_its_lines_are() -> None:
    text = ' [\n{"image": "a", "caption": "犬"},\n {"image": "b", "captions": ["B", "C"]}]\n'
    expected = [("a", ["犬"], None), ("b", ["B", "C"], None)]
    assert good(text, "jsonl") == good("\ufeff" + text, "jsonl") == expected
    ((place, found),) = bad('[{"image": "a", "caption": "x"}, 5]', "jsonl")
    assert (place, found) == ("c#1", "caption_malformed: not a JSON object")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "caption_malformed: not JSON: "),
        ("[1]", "caption_malformed: not a JSON object"),
        ("[" * 100_000, "caption_malformed: not JSON: "),
        ('{"image": "a.jpg"}', "caption_malformed: fields image: no image or no caption"),
        ('{"image": null, "caption": "x"}', "caption_malformed: the image's name is missing"),
        ('{"image": "..", "caption": "x"}', "caption_malformed: '..' does not name an image"),
        ('{"image": "\\ud800", "caption": "x"}', "caption_malformed: the image's name is not text"),
        ('{"image": "a", "caption": "\\udc00"}', "caption_malformed: a caption is not text"),
        ('{"image": "a", "caption": 5}', "caption_malformed: a caption is not text"),
        ('{"image": "a", "caption": []}', "caption_empty: the caption is empty"),
        ('{"image": "a", "caption": "x", "split": "x"}', "caption_malformed: split 'x' is none"),
        ('{"image": "a", "caption": "x", "split": [1]}', "caption_malformed: split [1] is none"),
    ],
)
def test_bad_json_lines(line: str, message: str) -> None:
    ((place, found),) = bad(f'{{"image": "a", "caption": "x"}}\n{line}\n', "jsonl")
    assert place == "c:2"
    assert found.startswith(message)


def test_hugging_face_names_stand_beside_the_metadata() -> None:
    text = '{"file_name": "0001.jpg", "text": "A dog"}\n{"file_name": "sub/2.jpg", "text": "B"}\n'
    assert good(text, "hf", "/data/set/metadata.jsonl") == [
        ("/data/set/0001.jpg", ["A dog"], None),
        ("/data/set/sub/2.jpg", ["B"], None),
    ]
    assert good(text, "hf", "metadata.jsonl")[0][0] == "0001.jpg"
    assert good(text, "hf", "gs://bucket/set/metadata.jsonl")[0][0] == "gs://bucket/set/0001.jpg"


def test_hugging_face_splits_are_folders() -> None:
    text = '{"file_name": "validation/1.jpg", "text": "A"}\n{"file_name": "2.jpg", "text": "B"}\n'
    assert [split for *_, split in good(text, "hf", "/data/set/metadata.jsonl")] == ["dev", None]
    assert [split for *_, split in good(text, "hf", "/data/train/metadata.jsonl")] == [
        *("dev", "train")
    ]


def test_hugging_face_metadata_csv() -> None:
    text = 'file_name,text\n1.jpg,"A dog, running"\n'
    assert good(text, "hf", "/d/metadata.csv") == [("/d/1.jpg", ["A dog, running"], None)]


def test_lines_are_read_as_a_stream() -> None:
    class Endless:
        """A file without end, of which reading only the head is possible."""

        read_bytes = 0

        def readline(self) -> bytes:
            self.read_bytes += 1
            return b'{"image": "a.jpg", "caption": "A dog"}\n'

        def close(self) -> None:
            self.closed = True

    file = Endless()
    reading = read(lambda path: file, "c", "jsonl")
    assert [next(reading).source for _ in range(3)] == ["c:1", "c:2", "c:3"]
    assert file.read_bytes <= 4
    reading.close()
    assert file.closed


def test_a_carriage_return_ends_a_line_too() -> None:
    text = "a.jpg#0\tA dog\rb.jpg#0\tA cat\r\nc.jpg#0\tA bird\r"
    expected = [("a.jpg", ["A dog"], None), ("b.jpg", ["A cat"], None), ("c.jpg", ["A bird"], None)]
    for content in (text.encode(), text.encode("utf-16")):
        assert detect("c", content) == "flickr"
        assert good(content, "flickr") == expected
    assert [row.source for row in rows(text, "flickr")] == ["c:1", "c:2", "c:3"]
    assert good('image,caption\ra.jpg,"A\rdog"\r', "csv") == [("a.jpg", ["A\rdog"], None)]


def test_lists_name_images_as_caption_files_do() -> None:
    names = "\ufeffa.jpg\r\n\n beach\\001.jpg\n./b\u2028\x85c.jpg\rd.jpg"
    expected = ["a.jpg", "beach/001.jpg", "b\u2028\x85c.jpg", "d.jpg"]
    assert list(read_names(holding(names), "l", "--dev_list")) == expected
    for content, message in (
        (b"a.jpg\ncaf\xe9.jpg\n", "line 2: not UTF-8 text: save the file as UTF-8"),
        (b"\n..\n", "line 2: '..' does not name an image"),
    ):
        with pytest.raises(UsageError) as caught:
            list(read_names(holding(content), "dir/l", "--dev_list"))
        assert str(caught.value) == f"--dev_list=dir/l: {message}"


def test_no_other_character_ends_a_line() -> None:
    caption = "one\u2028two\x85three\x0bfour"
    text = json.dumps({"image": "a.jpg", "caption": caption}, ensure_ascii=False)
    assert isinstance(rows(text, "jsonl")[0], Annotation)
    assert good(f"a.jpg#0\t{caption}\n", "flickr") == [("a.jpg", [caption], None)]
