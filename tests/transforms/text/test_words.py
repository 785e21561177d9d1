"""Words equal the COCO metrics' tokens: recorded for hard cases, and live where Java is."""

import json
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import data
from transforms.text.words import words

# Hand-made captions with the tokens that pycocoevalcap 1.2 gave for each. The original reads all
# captions of a run as one text, so there each was followed by a line that opens a sentence.
GOLDEN = [
    json.loads(line)
    for line in (Path(__file__).parent / "words.golden.jsonl").read_text("utf-8").splitlines()
]


@pytest.mark.parametrize("case", GOLDEN, ids=[case["text"][:30] for case in GOLDEN])
def test_hard_cases(case: dict) -> None:
    assert words(case["text"]) == case["tokens"]


def test_a_word_is_one_however_its_accents_are_written() -> None:
    assert words("Cafe\u0301 cr\u00e8me") == words("CAF\u00c9 cre\u0300me") == ["café", "crème"]


def original(captions: list[str]) -> list[list[str]]:
    if shutil.which("java") is None:
        if os.environ.get("CI"):
            pytest.fail("Java is absent, and needed to compare with the original tokenizer")
        pytest.skip("Java is absent: the original tokenizer cannot run")
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    rows = {number: [{"caption": caption}] for number, caption in enumerate(captions)}
    return [tokens[0].split() for tokens in PTBTokenizer().tokenize(rows).values()]


def test_recorded_tokens_are_the_original_s() -> None:
    texts = [text for case in GOLDEN for text in (case["text"], "The end")]
    assert original(texts)[::2] == [case["tokens"] for case in GOLDEN]


def test_real_captions_give_the_original_s_tokens() -> None:
    flickr = (data.shared("flickr8k") / "Flickr8k.token.txt").read_text("utf-8").splitlines()
    coco = json.loads((data.shared("coco_mini") / "captions_val2017.json").read_text("utf-8"))
    captions = [line.split("\t")[1] for line in flickr[::17]]
    captions += [row["caption"] for row in coco["annotations"]]
    assert [words(caption) for caption in captions] == original(captions)


PIECES = st.sampled_from([piece for case in GOLDEN for piece in case["text"].split()])


@given(st.one_of(st.text(), st.lists(PIECES).map(" ".join), st.lists(PIECES).map("".join)))
def test_any_text_gives_clean_tokens(text: str) -> None:
    for token in words(text):
        assert token
        assert token.split() == [token]
        assert token == token.lower()


@given(st.lists(st.from_regex(r"[a-z]{2,12}(-[a-z]{2,12})?|[1-9][0-9]{0,3}", fullmatch=True)))
def test_plain_words_and_numbers_come_back_from_their_join(tokens: list[str]) -> None:
    once = words(" ".join(tokens))
    assert words(" ".join(once)) == once


def test_tokens_of_real_captions_come_back_from_their_join() -> None:
    flickr = (data.shared("flickr8k") / "Flickr8k.token.txt").read_text("utf-8").splitlines()
    for line in flickr[::29]:
        tokens = words(line.split("\t")[1])
        assert words(" ".join(tokens)) == tokens


@pytest.mark.timeout(60)
def test_a_very_long_caption_takes_no_time() -> None:
    for piece in ("a", "a-", "a.", "a:", "<a", "'", "n't", "1/", "a@", "“"):
        words(piece * 20_000)
