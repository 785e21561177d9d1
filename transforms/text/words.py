"""Words as the COCO caption metrics see them.

The metrics (https://github.com/tylin/coco-caption, packaged as pycocoevalcap) split captions with
Stanford's Penn Treebank tokenizer, a Java program, lower-case the tokens and drop a short list of
punctuation marks. A vocabulary made of other tokens would be scored for words that it cannot say.
This module gives the same tokens in pure Python. It was written from the program's observable
behaviour, by comparing outputs, and shares no code with it; see tests/transforms/text.

The method is the lexer's: at each position every rule is tried, and the longest match wins.
"""

import functools
import html
import re
import unicodedata
from collections.abc import Callable

from transforms.text import ptb_data as data

_L = data.LETTER
_W = data.WORD
_QUOTE = "".join(data.QUOTES)
_LONE_QUOTE = re.compile(rf"(?<![{_QUOTE}])[{_QUOTE}](?![{_QUOTE}])")
_WORDS = rf"{_W}+(?:[-_\u058a\u2010\u2011]{_W}+)*"


def _whole(match: re.Match[str]) -> list[str]:
    return [match[0]]


def _groups(match: re.Match[str]) -> list[str]:
    return [group for group in match.groups() if group]


def _nothing(match: re.Match[str]) -> list[str]:
    return []


def _quotes(match: re.Match[str]) -> list[str]:
    return ["".join(data.QUOTES[character] for character in match[0])]


def _brackets(match: re.Match[str]) -> list[str]:
    return ["".join(data.BRACKETS.get(character, character) for character in match[0])]


def _mapped(match: re.Match[str]) -> list[str]:
    return [data.MAPPED[match[0]]]


def _entity(match: re.Match[str]) -> list[str]:
    return [html.unescape(match[0].lower()).replace('"', "")]


def _alternatives(words: str) -> str:
    return "|".join(sorted(map(re.escape, words.split()), key=len, reverse=True))


_ABBREVIATION = (
    rf"(?:(?i:ph|ed)\.[dD]|(?i:{_alternatives(data.ABBREVIATIONS)})"
    rf"|{_alternatives(data.CAPITALISED_ABBREVIATIONS)}"
    rf"|(?i:{_alternatives(data.NUMBERED_ABBREVIATIONS)})(?=\.\s?\d)"
    rf"|{_L})\."
)

# What opens the next sentence, so that a letter's full stop before it is no abbreviation's.
_SENTENCE = rf"(?:(?:{_alternatives(data.OPENERS)})(?:\s|$)|</?[A-Za-z])"

Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], list[str]]]


def _rule(pattern: str, action: Callable[[re.Match[str]], list[str]] = _whole) -> Rule:
    return re.compile(pattern), action


@functools.cache
def _rules() -> tuple[Rule, ...]:
    """Compile the rules at the first caption, for it takes a while.

    Of two matches of one length, the earlier rule's counts.
    """
    return (
        # Words that the Treebank splits.
        _rule(
            rf"(?i:(can)(not)|(gon)(na)|(got)(ta)|(wan)(na)|(lem)(me)|(gim)(me))(?!{_W})", _groups
        ),
        _rule(r"(?i:('t)(is|was))", _groups),
        # Negations and other contractions: the stem, then the ending by itself.
        _rule(rf"([A-Za-z]*[A-MO-Za-mo-z])?((?i:n['`]t){_L}*)", _groups),
        _rule(rf"(?i:'(?:ll|re|ve|[dms]))(?!{_L})"),
        _rule(rf"'(?i:em|til|cause)|'[nN](?:'|(?!{_L}))|'\d\ds?"),
        _rule(rf"(?i:[djl]|ol|y(?='{_L}))'(?!(?i:[dms]|ll|re|ve))"),
        # Names and foreign words that keep their apostrophe.
        _rule(rf"(?i:(?:[dlo]'|n'(?=\D\D))(?!(?:ll|re|ve)(?!{_W})){_W}{{2,}})"),
        _rule(rf"(?i:{_L}+[aeiouy]'[aeiou]{_L}*|{_alternatives(data.WITH_APOSTROPHE)})"),
        # Plain and compound words, abbreviations, acronyms.
        _rule(_WORDS),
        _rule(r"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*(?:/[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*){1,2}"),
        _rule(rf"({_L})\.(?=\s*$|\s+{_SENTENCE})", _groups),
        _rule(rf"{_ABBREVIATION}(?:-{_W}+)*"),
        _rule(rf"{_L}(?:\.{_L})+(?:\.|(?!{_W}))(?:-{_W}+)*"),
        _rule(rf"{_L}{_W}*(?:\.{_L}{_W}*)+(?:-{_W}+)*"),
        _rule(rf"{_L}{_W}*(?:[.!?][A-Za-z][A-Za-z0-9]*)+"),
        _rule(r"[A-Z]+(?:&[A-Z]+)+"),
        # Numbers: signed, decimal, times, dates, fractions.
        _rule(r"[-+]?\d*(?:[.,:]\d+)+|[-+]?\d+"),
        _rule(rf"\d+(?:[.,]\d+)+(?:-{_W}+)+"),
        _rule(r"(?:\d{1,4}[- ])?\d{1,4}/\d{1,4}|\d{1,2}[-/]\d{1,2}[-/]\d{2,4}"),
        _rule(r"\(\d{3}\)(?=[ \xa0]?\d{3})", _brackets),
        _rule(rf"(?:{_alternatives(data.CURRENCIES)})\$"),
        # The net.
        _rule(r"(?:https?://|www\.)[^\s\"<>|()]*[^\s\"<>|().,;!?']"),
        _rule(rf"{_W}[\w.:+-]{{0,63}}@(?:{_W}+\.)*{_W}+"),
        _rule(rf"@{_L}{_W}*(?:_{_W}+)*|#{_L}+"),
        # Markup and faces.
        _rule(r"</?[A-Za-z!?][^<>]{0,200}>", lambda match: match[0].split()),
        _rule(r"[<>]?[:;=]['-]?[()DPp\]|*](?![A-Za-z0-9])|\^_\^|-_-|[Oo]_[Oo]", _brackets),
        _rule(r"(?i:&(?:amp|lt|gt|quot|apos|nbsp);)", _entity),
        _rule(r"&#\d+;"),
        _rule(r"-(?i:[lr][rsc]b)-"),
        # Runs of punctuation that are one token, and those that are none.
        _rule(r"[!?]{2,}|_+|\*+|#+|@+|<<|>>"),
        _rule(r"''|-{2,}|\.{2,}|[-'\"`.,:;!?\u0080-\u009f]", _nothing),
        _rule(rf"[{_QUOTE}]{{2,}}", _quotes),
        _rule(rf"[{re.escape(''.join(data.MAPPED))}]", _mapped),
        _rule(rf"[{data.SYMBOL}]", _brackets),
    )


_PLAIN = re.compile(r"[a-z]+(?=\s|$)")
_SPACE = re.compile(r"\s+")


def _plain_quote(match: re.Match[str]) -> str:
    return "'" if len(data.QUOTES[match[0]]) == 1 else '"'


def words(text: str) -> list[str]:
    """Split a caption into the words that the COCO metrics score.

    Args:
        text: a caption, in any script; one word in two spellings of Unicode is one.

    Returns:
        Lower-cased tokens without white space, and without the metrics' punctuation list. Symbols
        that the original does not know (emoji among them) are dropped, as there.
    """
    text = unicodedata.normalize("NFC", text)
    # A rule is tried at a position only where the commonest case, a plain word, does not apply.
    text = _LONE_QUOTE.sub(_plain_quote, text.translate(data.TRANSLATION))
    tokens: list[str] = []
    position = 0
    while position < len(text):
        if space := _SPACE.match(text, position):
            position = space.end()
            continue
        plain = _PLAIN.match(text, position)
        if plain and plain[0] not in data.SPLIT:
            tokens.append(plain[0])
            position = plain.end()
            continue
        best: tuple[int, list[str]] = (position + 1, [])
        length = 0
        for pattern, action in _rules():
            match = pattern.match(text, position)
            if match and match.end() - position > length:
                length = match.end() - position
                best = (match.end(), action(match))
        position = best[0]
        tokens.extend(best[1])
    return [part for token in tokens for part in token.lower().split() if part not in data.DROPPED]
