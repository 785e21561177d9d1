"""Pages are whole, safe whatever the data says, and readable without the pictures."""

import base64
import dataclasses
import hashlib
import html.parser
import io
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from transforms import images
from transforms.pages import Card, Histogram, Metric, Report, from_row, gallery, report, thumbnail
from transforms.pages.cards import Word

NASTY = "<script>alert('1')</script> & \"quoted\" {{ 7 * 7 }} 两只狗"
VOID = {"meta", "img", "link", "br", "input", "hr", "rect", "line"}


class Page(html.parser.HTMLParser):
    """Collects elements and text, and checks that every element is closed."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.words, self._open = [], [], []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, text):
        self.words.append(text)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def photo(width, height):
    return images.to_jpeg(np.full((height, width, 3), (200, 40, 40), np.uint8))


def full_report(**changes):
    values = {
        "title": "Evaluation",
        "facts": {"Images": "2"},
        "metrics": [Metric("BLEU-1", 0.5934, 0.511), Metric("CIDEr", 0.1, 0.116)],
        "floor_caption": "a dog",
        "notes": ["METEOR is left out."],
        "cider": [0.0, 0.9],
        "sections": {"The best": [Card("a.jpg", "a cat", references=("one", "two"), cider=0.9)]},
        "software": {"python": "3.11"},
    }
    return report(Report(**(values | changes)))


def test_the_gallery_shows_pictures_with_captions_and_references():
    cards = [
        Card("a.jpg", "a red wall", thumbnail(photo(64, 48)), -0.5, None, ("red",), (("b", -1.0),)),
        Card("lost.jpg", "never seen"),
    ]
    page = Page(gallery(cards, "Holiday", total=7000))
    (picture,) = page.all("img")
    assert picture["alt"] == "a red wall"
    assert picture["src"].startswith("data:image/jpeg;base64,")
    for words in ("Holiday", "2 of 7,000 images", "1 reference", "1 alternative", "score −0.50"):
        assert words in page.text
    assert "The image could not be read." in page.text and "never seen" in page.text
    # Not in a tooltip, which only a mouse brings up.
    assert "The score says how sure" in page.text
    assert "The score says" not in Page(gallery([Card("a.jpg", "a wall")], "Holiday")).text


def test_a_row_of_a_captions_table_becomes_a_card():
    row = {"key": "a.jpg", "uri": "a.jpg", "sha256": "0", "width": 64, "height": 48}
    row |= {"caption": "a wall", "score": -0.5}
    row["alternatives"] = [{"caption": c, "score": s} for c, s in (("red", -1),)]
    card = from_row(row, thumbnail(photo(64, 48)), ["one"])
    assert card == Card(
        "a.jpg", "a wall", thumbnail(photo(64, 48)), -0.5, None, ("one",), (("red", -1),)
    )
    assert from_row(row, None).image is None


def test_words_are_shown_over_what_the_captioner_saw():
    row = {"key": "a.jpg", "uri": "a.jpg", "sha256": "0", "width": 640, "height": 480}
    row |= {"caption": f"a {NASTY}", "score": -0.5, "alternatives": []}
    row["word_scores"] = [{"word": "a", "score": 0.0}, {"word": NASTY, "score": np.log(0.25)}]
    row["attention"] = [[[0.0, 1.0], [0.0, 0.0]], [[0.25, 0.25], [0.25, 0.25]]]
    card = from_row(row, thumbnail(photo(640, 480)))
    assert [(word.text, round(word.probability, 6)) for word in card.words] == [
        ("a", 1.0),
        (NASTY, 0.25),
    ]

    def brightness(word):
        data = base64.b64decode(word.image.partition(",")[2])
        return np.asarray(Image.open(io.BytesIO(data)).convert("L"), float)

    corner, everywhere = map(brightness, card.words)
    height, width = corner.shape
    assert width / height == pytest.approx(4 / 3, abs=0.02)
    dark = corner[height // 2 :, : width // 2].mean()
    assert dark < 0.5 * corner[: height // 3, 2 * width // 3 :].mean()
    assert everywhere.std() < 2
    page = Page(gallery([card], "t"))
    assert page.all("script") == []
    assert len(page.all("img")) == 3
    assert f"{NASTY} 25 %" in page.text
    assert [word.image for word in from_row(row, None).words] == [None, None]
    assert len(Page(gallery([from_row(row, None)], "t")).all("img")) == 0


@pytest.mark.parametrize("language", ["zh", ""])
def test_no_caption_is_declared_to_be_in_the_page_s_language(language):
    card = Card(
        "k", "一只狗", thumbnail(photo(9, 9)), references=("狗",), alternatives=(("犬", -1.0),)
    )
    card = dataclasses.replace(card, words=(Word("一只狗", 0.5),))
    sections = {"All": [card, Card("empty", "")]}
    for page, captions in (
        (gallery(sections["All"], "t", language=language), 5),
        (full_report(sections=sections, floor_caption="一只狗", language=language), 6),
    ):
        parsed = Page(page)
        marked = [tag for tag, found in parsed.elements if found.get("lang") == language]
        assert len(marked) == captions
        assert {found["lang"] for found in parsed.all("img")} == {language}
        assert re.findall(r"<[^<]*>\(empty caption\)", page) == [
            '<p class="caption">(empty caption)'
        ]


def test_an_empty_gallery_says_so():
    assert "There is no image to show." in Page(gallery([], "Nothing")).text


@pytest.mark.parametrize(
    "page",
    [
        gallery([Card(NASTY, NASTY, references=(NASTY,), alternatives=((NASTY, 0.0),))], NASTY),
        full_report(
            title=NASTY,
            facts={NASTY: NASTY},
            floor_caption=NASTY,
            notes=[NASTY],
            sections={NASTY: [Card(NASTY, NASTY, references=(NASTY,))]},
        ),
    ],
)
def test_everything_from_data_is_escaped(page):
    parsed = Page(page)
    assert parsed.all("script") == []
    assert NASTY in parsed.text
    assert "<script>" not in page


@given(text=st.text(min_size=1), cider=st.floats(0, 10))
@settings(max_examples=60)
def test_no_text_breaks_a_page(text, cider):
    card = Card(text, text, None, -1.5, cider, (text,), ((text, -2.0),), (Word(text, 0.5),))
    shape = [name for name, _ in Page(gallery([card], text)).elements]
    plain = Card("k", "c", None, -1.5, cider, ("r",), (("a", -2.0),), (Word("w", 0.5),))
    assert shape == [name for name, _ in Page(gallery([plain], "t")).elements]


@pytest.mark.parametrize("page", [gallery([Card("a", "b")], "t"), full_report()])
def test_the_policy_allows_the_inline_style_and_nothing_else(page):
    parsed = Page(page)
    (policy,) = [
        meta["content"] for meta in parsed.all("meta") if meta.get("http-equiv", "").startswith("C")
    ]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert not any("style" in attributes for _, attributes in parsed.elements)
    assert not any("href" in attributes for _, attributes in parsed.elements)
    assert parsed.all("html") == [{"lang": "en"}]


def test_the_report_puts_every_score_beside_the_floor():
    text = Page(full_report()).text
    assert "BLEU-1 0.593 0.511 +0.082" in text
    assert "CIDEr 0.100 0.116 −0.016" in text
    assert "“ a dog ”" in text and "METEOR is left out." in text
    assert "mean 0.450" in text and "1 image at 0" in text


@pytest.mark.parametrize("original", [None, (1600, 800)])
def test_thumbnails_keep_the_proportions(original):
    uri = thumbnail(photo(1600, 800), original=original)
    with Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))) as picture:
        assert picture.size == (320, 160)
    with Image.open(io.BytesIO(base64.b64decode(thumbnail(photo(5, 9)).split(",")[1]))) as small:
        assert small.size == (5, 9)


def test_what_cannot_be_decoded_has_no_thumbnail():
    assert thumbnail(b"") is None
    assert thumbnail(b"not an image") is None
    assert thumbnail(photo(64, 64)[:200], original=(64, 64)) is None


@given(st.lists(st.floats(0, 10), min_size=1, max_size=200))
def test_a_histogram_counts_every_score_and_stays_in_its_box(scores):
    histogram = Histogram.of(scores)
    assert sum(bar.count for bar in histogram.bars) == len(scores)
    assert all(bar.y >= 0 and bar.y + bar.height <= 156.01 for bar in histogram.bars)
    assert all(34 <= tick.position <= 472 for tick in histogram.x_ticks)
    assert 34 <= histogram.x(max(scores)) <= 472
