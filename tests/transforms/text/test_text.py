"""Normalisation and the choice of a tokenizer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import data
from transforms.errors import UsageError
from transforms.text import TOKENIZERS, choose_tokenizer, join, language, normalise, tokenize


def test_normalising_removes_what_cannot_be_seen() -> None:
    assert normalise("\ufeff A\u200b dog\r\n\truns\u00a0. \x00") == "A dog runs ."
    assert normalise("cafe\u0301") == "café"
    assert normalise("می‌روم") == "می‌روم"  # the joiner is part of the word


@given(st.text())
def test_normalising_twice_is_normalising_once(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert once == once.strip()
    once.encode()


@pytest.mark.parametrize(
    ("captions", "tokenizer"),
    [
        (["A dog runs .", "两只狗", "Two dogs"], "words"),
        (["穿着连衣裙的小女孩。", "走上台阶的T恤女孩"], "jieba"),
        (["赤いシャツの男性", "犬"], "characters"),
        (["ผู้ชายขี่จักรยาน"], "characters"),
        (["빨간 셔츠를 입은 남자"], "words"),
        (["Мужчина на велосипеде"], "words"),
        ([], "words"),
    ],
)
def test_the_script_chooses_the_tokenizer(captions: list[str], tokenizer: str) -> None:
    assert choose_tokenizer(captions) == tokenizer


def test_real_captions_choose_their_tokenizer() -> None:
    for folder, name, tokenizer in (
        ("flickr8k", "Flickr8k.token.txt", "words"),
        ("flickr8k_cn", "flickr8kzhc.caption.txt", "jieba"),
    ):
        lines = (data.shared(folder) / name).read_text("utf-8").splitlines()
        assert choose_tokenizer(lines[:200]) == tokenizer


def test_tokenizers_by_name() -> None:
    assert [tokenize("Two dogs.", name) for name in TOKENIZERS] == [["two", "dogs"]] * 3
    assert [join(["two", "dogs"], name) for name in TOKENIZERS] == ["two dogs"] * 3
    assert [language(name) for name in TOKENIZERS] == ["", "zh", ""]
    with pytest.raises(UsageError, match=r"'bpe'.*words, jieba, characters"):
        tokenize("Two dogs.", "bpe")
