"""Tokens for scripts without spaces: Chinese words with Jieba, or characters."""

import functools
import re
import threading
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jieba

# Full-width Latin letters, digits and signs are the same characters in another width.
_WIDTHS = {0xFF01 + offset: 0x21 + offset for offset in range(0x5E)} | {0x3000: 0x20}
_HANGUL = re.compile("[\u1100-\u11ff\uac00-\ud7a3]")
_LOADING = threading.Lock()


def characters(text: str) -> list[str]:
    """Split a caption into characters.

    A character keeps its combining marks (Thai vowels and tones, accents). A run of letters of a
    script with spaces (Latin, Greek, Cyrillic, Hangul) and of digits is one token. Punctuation,
    symbols and white space are left out.
    """
    tokens: list[str] = []
    attached = False  # the last character belongs to the last token, which marks may extend
    running = False  # that token is a run, which letters may extend
    for character in _plain(text):
        kind = unicodedata.category(character)
        if kind[0] == "M":
            if attached:
                tokens[-1] += character
            continue
        spaced = _spaced(character)
        attached = kind[0] in "LN"
        if attached and running and spaced:
            tokens[-1] += character
        elif attached:
            tokens.append(character)
        running = attached and spaced
    return tokens


def jieba_words(text: str) -> list[str]:
    """Split a Chinese caption into the words of Jieba's default mode, without punctuation.

    Deterministic: the dictionary is the package's own, and nothing is learnt or cached.
    """
    return [
        word
        for word in _jieba().cut(_plain(text))
        if any(unicodedata.category(character)[0] in "LN" for character in word)
    ]


def join_unspaced(tokens: Iterable[str]) -> str:
    """Write tokens one after another, with a space only between two of scripts with spaces."""
    text = ""
    for token in tokens:
        if text and token and _spaced(_base(text)) and _spaced(token[0]):
            text += " "
        text += token
    return text


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text.translate(_WIDTHS).lower())


def _spaced(character: str) -> bool:
    """Whether a character is a digit, or of a script that puts spaces between its words."""
    # Scripts with upper and lower case are such scripts, and so is Hangul.
    kind = unicodedata.category(character)
    return kind in ("Ll", "Lu", "Lt", "Nd") or _HANGUL.match(character) is not None


def _base(text: str) -> str:
    """Return the last character that is not a combining mark."""
    for character in reversed(text):
        if unicodedata.category(character)[0] != "M":
            return character
    return text[-1]


@functools.cache
def _load_jieba() -> "jieba.Tokenizer":
    # Tokenizer.initialize() would log to stderr and share a cache file in the temporary folder,
    # which any user of the machine can write. Reading the dictionary takes less than a second.
    import jieba

    tokenizer = jieba.Tokenizer()
    with (Path(jieba.__file__).parent / jieba.DEFAULT_DICT_NAME).open("rb") as file:
        tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(file)
    tokenizer.initialized = True
    return tokenizer


def _jieba() -> "jieba.Tokenizer":
    with _LOADING:  # threads that start together load one dictionary
        return _load_jieba()
