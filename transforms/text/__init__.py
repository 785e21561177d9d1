"""Captions as text: normalisation, tokens, and the vocabulary.

Three tokenizers: `words` for languages that put spaces between words, `jieba` for Chinese words,
and `characters` for other scripts without spaces (Japanese, Thai, Lao, Khmer, Burmese).
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

from transforms.errors import UsageError
from transforms.text.cjk import characters, jieba_words, join_unspaced
from transforms.text.vocabulary import END, PAD, RESERVED, START, UNK, Vocabulary
from transforms.text.words import words

__all__ = [
    "END",
    "PAD",
    "RESERVED",
    "START",
    "TOKENIZERS",
    "UNK",
    "Vocabulary",
    "choose_tokenizer",
    "join",
    "language",
    "normalise",
    "tokenize",
]

_TOKENIZERS = {"words": words, "jieba": jieba_words, "characters": characters}
TOKENIZERS = tuple(_TOKENIZERS)

_SPACE = re.compile(r"\s+")
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
# Kana, Thai, Lao, Burmese, Khmer: written without spaces, and not by Jieba's dictionary.
_UNSPACED = re.compile(
    "[\u3041-\u3096\u30a1-\u30fa\uff66-\uff9d\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff]"
)
# Joiners are invisible too, but they are part of how Persian, Indic scripts and emoji are spelt.
_JOINERS = "\u200c\u200d"


def normalise(text: str) -> str:
    """Return a caption in one canonical spelling.

    Unicode NFC; control and invisible format characters (byte-order marks, zero-width spaces) and
    lone surrogates removed; white space, line breaks included, made single spaces and trimmed.
    Case, punctuation and words stay: that is the tokenizer's part.
    """
    text = _SPACE.sub(" ", text)
    kept = "".join(
        character
        for character in text
        if unicodedata.category(character) not in ("Cc", "Cf", "Cs") or character in _JOINERS
    )
    return _SPACE.sub(" ", unicodedata.normalize("NFC", kept)).strip()


def tokenize(text: str, tokenizer: str) -> list[str]:
    """Split a caption into lower-cased tokens without punctuation.

    Args:
        text: a caption.
        tokenizer: one of `TOKENIZERS`.

    Returns:
        The tokens, none of them empty and none with white space inside.

    Raises:
        UsageError: `tokenizer` is not one of `TOKENIZERS`.
    """
    if tokenizer not in _TOKENIZERS:
        raise UsageError(f"unknown tokenizer {tokenizer!r}: choose {', '.join(TOKENIZERS)}")
    return _TOKENIZERS[tokenizer](text)


def join(tokens: Iterable[str], tokenizer: str) -> str:
    """Write tokens as a caption: spaced for `words`, unspaced but between two Latin words else."""
    return " ".join(tokens) if tokenizer == "words" else join_unspaced(tokens)


def language(tokenizer: str) -> str:
    """Return the language that a tokenizer is for, as HTML names it; empty where it is for many."""
    return "zh" if tokenizer == "jieba" else ""


def choose_tokenizer(captions: Iterable[str]) -> str:
    """Return the tokenizer that fits the script of most captions.

    Chinese characters call for `jieba`; kana, Thai and other scripts without spaces for
    `characters`; everything else, and no caption at all, for `words`.
    """
    votes = Counter(
        "characters" if _UNSPACED.search(text) else "jieba" if _HAN.search(text) else "words"
        for text in captions
    )
    if 4 * votes["characters"] > votes["jieba"]:  # Japanese captions may be all in Han characters
        votes["characters"] += votes.pop("jieba", 0)
    return max(TOKENIZERS, key=lambda name: votes[name])
