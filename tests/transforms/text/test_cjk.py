"""Chinese words, and characters."""

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from tests import data
from transforms.text import join, tokenize
from transforms.text.cjk import characters, jieba_words


def test_chinese_words_without_punctuation() -> None:
    assert jieba_words("一个穿红色连衣裙的小女孩，走上台阶。") == [
        *("一个", "穿", "红色", "连衣裙", "的", "小女孩", "走上", "台阶")
    ]
    assert jieba_words("两只狗!?…… (在)「草地」上") == ["两只", "狗", "在", "草地", "上"]


def test_full_width_letters_and_digits_are_the_plain_ones() -> None:
    assert jieba_words("３个Ｔ恤") == jieba_words("3个t恤")
    assert characters("３台のＢＭＷ") == ["3", "台", "の", "bmw"]


def test_jieba_writes_no_file_and_no_log(tmp_path) -> None:
    code = "from transforms.text import tokenize; print(len(tokenize('小女孩走上台阶', 'jieba')))"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={"TMPDIR": str(tmp_path), "PYTHONPATH": ":".join(p for p in sys.path if p)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (run.stdout, run.stderr) == ("3\n", "")
    assert not list(tmp_path.iterdir())


def test_every_real_chinese_caption_has_words() -> None:
    path = data.shared("flickr8k_cn") / "flickr8kzhc.caption.txt"
    for line in path.read_text("utf-8").splitlines()[::50]:
        caption = line.split(" ", 1)[1]
        tokens = jieba_words(caption)
        assert tokens
        assert jieba_words(caption) == tokens
        assert "".join(tokens) == "".join(characters(caption))


def test_thai_marks_stay_with_their_letters() -> None:
    assert characters("ผู้ชายขี่ม้า") == ["ผู้", "ช", "า", "ย", "ขี่", "ม้", "า"]


def test_japanese_by_character_with_latin_runs_whole() -> None:
    assert characters("赤いTシャツ、2台。") == ["赤", "い", "t", "シ", "ャ", "ツ", "2", "台"]
    assert characters("a café (2015) が") == ["a", "café", "2015", "が"]


def test_a_mark_after_punctuation_or_at_the_start_belongs_to_no_token() -> None:
    assert characters("\u0301a,\u0301b") == ["a", "b"]


def test_unspaced_join_keeps_latin_words_apart() -> None:
    assert join(["我", "爱", "new", "york", "的", "2", "街"], "jieba") == "我爱new york的2街"
    assert join(["ผู้", "ช", "า", "ย"], "characters") == "ผู้ชาย"
    assert join([], "jieba") == ""


SCRIPTS = st.text(st.sampled_from("我爱走上台阶のカタผู้าaéb1２ \u3000，.!🐶\u0301"))


@given(st.one_of(st.text(), SCRIPTS))
def test_characters_come_back_from_their_join(text: str) -> None:
    tokens = characters(text)
    assert all(token.split() == [token] for token in tokens)
    assert characters(join(tokens, "characters")) == tokens


@given(st.one_of(st.text(), SCRIPTS))
def test_jieba_gives_clean_tokens_for_any_text(text: str) -> None:
    assert all(token.split() == [token] for token in tokenize(text, "jieba"))
