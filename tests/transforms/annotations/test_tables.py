"""CSV, TSV and Parquet."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.transforms.annotations.files import bad, good, rows
from transforms.errors import UsageError


def test_one_row_a_caption() -> None:
    text = 'image,caption\r\na.jpg,A dog\r\na.jpg,"A dog, ""Rex"", runs"\r\n\r\nb.jpg,\'s\r\n'
    assert good(text, "csv") == [
        ("a.jpg", ["A dog"], None),
        ("a.jpg", ['A dog, "Rex", runs'], None),
        ("b.jpg", ["'s"], None),
    ]


def test_several_caption_columns_and_a_split() -> None:
    text = "Split,caption_1,Caption 2,caption-3,comment_number,File Name\nval,A,,C,9,a.jpg\n"
    assert good(text, "csv") == [("a.jpg", ["A", "C"], "dev")]


@pytest.mark.parametrize(
    ("header", "mark"),
    [
        ("image_name| comment_number| comment", "|"),  # Flickr30k's results
        ("filename;number;text", ";"),
        ("IMAGE_ID,n,Sentence", ","),
        ("\ufefffile,n,description", ","),
    ],
)
def test_headers_and_separators(header: str, mark: str) -> None:
    row = f'1.jpg{mark} 0{mark} Two "dogs" .'
    assert [(n, c[0].strip()) for n, c, _ in good(f"{header}\n{row}", "csv")] == [
        ("1.jpg", 'Two "dogs" .')
    ]


def test_without_a_header_the_first_cell_must_be_an_image_file() -> None:
    assert good("a.jpg\tA dog\tA pet\nb.PNG\tA cat\tA pet\n", "tsv") == [
        ("a.jpg", ["A dog", "A pet"], None),
        ("b.PNG", ["A cat", "A pet"], None),
    ]
    with pytest.raises(UsageError, match="its first line names no image"):
        rows("dog,A dog\n", "csv")


def test_a_quoted_caption_may_hold_line_breaks() -> None:
    text = 'image,caption,split\na.jpg,"A dog\n\nruns",train\nb.jpg,B,test\n'
    found = rows(text, "csv")
    assert [row.source for row in found] == ["c:2", "c:5"]
    assert good(text, "csv")[0][1][0].split() == ["A", "dog", "runs"]


def test_an_unclosed_quote_costs_one_row() -> None:
    text = 'image,caption\na.jpg,"A dog\n' + "".join(f"{i}.jpg,Dog {i}\n" for i in range(50))
    assert bad(text, "csv") == [
        ("c:2", "caption_malformed: a quote is not closed, or text follows a closed one")
    ]
    assert len(rows(text, "csv")) == 51


def test_rows_that_no_quote_explains_say_why() -> None:
    long = "x" * 131_073
    assert bad(f"image,caption\na.jpg,A\nc.jpg,{long}\n", "csv") == [
        ("c:3", "caption_malformed: a cell has more than 131,072 characters"),
    ]


def test_a_tab_separated_file_need_not_know_quotes() -> None:
    text = 'file\tcaption\na.jpg\t"Stop" says the sign\nb.jpg\t"Hm\nc.jpg\t"Two\tdogs"\n'
    assert good(text, "tsv") == [
        ("a.jpg", ['"Stop" says the sign'], None),
        ("b.jpg", ['"Hm'], None),
        ("c.jpg", ["Two\tdogs"], None),
    ]


def test_a_quoted_first_cell_between_tabs_may_hold_lines() -> None:
    text = 'caption\tfile\n"A dog\nruns"\ta.jpg\nA cat\tb.jpg\n'
    assert good(text, "tsv") == [("a.jpg", ["A dog\nruns"], None), ("b.jpg", ["A cat"], None)]


def test_a_quote_between_tabs_takes_no_row_that_is_whole() -> None:
    text = 'file\tcaption\na.jpg\t"Stop\nb.jpg\tA dog\nc.jpg\tSays "Hm"\nd.jpg\tA bird "\n'
    assert good(text, "tsv") == [
        ("a.jpg", ['"Stop'], None),
        ("b.jpg", ["A dog"], None),
        ("c.jpg", ['Says "Hm"'], None),
        ("d.jpg", ['A bird "'], None),
    ]
    text = 'file\tcaption\tsplit\na.jpg\t"A dog\nruns"\ttrain\nb.jpg\tA cat\ttest\n'
    assert [captions for _, captions, _ in good(text, "tsv")] == [["A dog\nruns"], ["A cat"]]


def test_bad_rows_have_their_place() -> None:
    text = b"image,caption\na.jpg\nb.jpg,A dog, a cat\n,No name\nc.jpg,\n"
    assert bad(text + b"d.jpg,\xff\n", "csv") == [
        ("c:2", "caption_malformed: 1 columns, not 2: quote a caption with the separator in it"),
        ("c:3", "caption_malformed: 3 columns, not 2: quote a caption with the separator in it"),
        ("c:4", "caption_malformed: the image's name is missing"),
        ("c:5", "caption_empty: the caption is empty"),
        ("c:6", "caption_malformed: not UTF-8 text: save the file as UTF-8"),
    ]


def test_utf_16_as_spreadsheets_write_it() -> None:
    for encoding in ("utf-16", "utf-16-be"):
        text = ("" if encoding == "utf-16" else "\ufeff") + "image\tcaption\r\na.jpg\t犬\r\n"
        assert good(text.encode(encoding), "tsv") == [("a.jpg", ["犬"], None)]


def parquet(**columns: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def test_parquet_with_strings_lists_and_splits() -> None:
    table = parquet(
        image=[b"the image's bytes", b"too"],
        file_name=["a.jpg", ".\\b.jpg"],
        captions=[["A dog", "A pet"], ["A cat"]],
        split=pa.array(["train", "validation"]).dictionary_encode(),
    )
    assert good(table, "parquet") == [
        ("a.jpg", ["A dog", "A pet"], "train"),
        ("b.jpg", ["A cat"], "dev"),
    ]
    table = parquet(image_id=[7], caption_0=["A"], caption_1=pa.array([None], pa.string()))
    assert good(table, "parquet") == [("7", ["A"], None)]


def test_bad_parquet_rows_are_rejects() -> None:
    table = parquet(image=["a.jpg", None, "c.jpg"], caption=["A", "B", None])
    assert bad(table, "parquet") == [
        ("c#2", "caption_malformed: the image's name is missing"),
        ("c#3", "caption_empty: the caption is empty"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PAR1 but nothing more", "not a usable parquet caption file"),
        (parquet(image=["a.jpg"], score=[1.5]), "its columns are image, score"),
        (parquet(image=["a.jpg"], caption=["A"])[:-60], "not a usable parquet caption file"),
    ],
)
def test_what_is_no_parquet_caption_file_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        rows(content, "parquet")
