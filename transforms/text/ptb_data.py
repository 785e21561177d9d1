"""Characters and word lists of the Penn Treebank tokenizer, as observed in its output."""

import unicodedata


def _classes() -> tuple[str, str, str]:
    """Return the insides of regular-expression classes: letters, word characters, symbols."""
    letters, words, symbols = [], [], []
    for code in range(0x21, 0x10000):
        kind = unicodedata.category(chr(code))
        if kind[0] == "L" or (kind in ("Mn", "Mc") and code < 0xEE0):
            letters.append(code)
            words.append(code)
        elif kind == "Nd":
            words.append(code)
        elif (kind[0] in "PS" or kind == "No") and any(a <= code <= b for a, b in _SYMBOL_RANGES):
            symbols.append(code)
    return _spans(letters), _spans(words), _spans(symbols)


def _spans(codes: list[int]) -> str:
    spans: list[list[int]] = []
    for code in codes:
        if spans and code == spans[-1][1] + 1:
            spans[-1][1] = code
        else:
            spans.append([code, code])
    return "".join(f"\\u{first:04x}-\\u{last:04x}" for first, last in spans)


# Symbols that become tokens; every other one is dropped.
_SYMBOL_RANGES = (
    (0x21, 0x7E),
    (0xA1, 0xF7),
    (0x37E, 0x387),
    (0x589, 0x70D),
    (0x964, 0x965),
    (0xE3F, 0xE4F),
    (0x2016, 0x2044),
    (0x2070, 0x20AC),
    (0x2100, 0x2BFF),
    (0x3001, 0x3002),
    (0x3012, 0x3012),
    (0x30FB, 0x30FB),
    (0xFF01, 0xFF65),
    (0xFFE0, 0xFFE6),
)
_letters, _words, SYMBOL = _classes()
LETTER = f"[{_letters}]"
WORD = f"[{_words}]"

BRACKETS = {
    "(": "-lrb-",
    ")": "-rrb-",
    "[": "-lsb-",
    "]": "-rsb-",
    "{": "-lcb-",
    "}": "-rcb-",
}
# Characters written in another way.
MAPPED = {
    "¢": "cents",
    "£": "#",
    "¤": "$",
    "€": "$",
    "¼": "1/4",
    "½": "1/2",
    "¾": "3/4",
    "⅓": "1/3",
    "⅔": "2/3",
}
# A lone one is as good as the ASCII quote; several in a row are one token, spelt like this.
QUOTES = {
    **dict.fromkeys("‘‛‹", "`"),
    **dict.fromkeys("“«", "``"),
    **dict.fromkeys("’›", "'"),
    **dict.fromkeys("”»", "''"),
}
TRANSLATION = str.maketrans(
    {
        **dict.fromkeys("–—―", "--"),
        "…": " ... ",
        "\u00ad": "",
    }
)
# The metrics' punctuation list, lower-cased tokens (so brackets stay, as they do there).
DROPPED = frozenset(["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"])
SPLIT = frozenset(["cannot", "gonna", "gotta", "wanna", "lemme", "gimme"])
WITH_APOSTROPHE = "ma'am o'clock li'l ev'ry e'er cap'n c'mon s'more s'mores m'lady"
CURRENCIES = "US HK A C R NZ"
ABBREVIATIONS = """
a adj adm adv alex assoc asst atty ave b brig c capt cf cie cmdr col comdr cpl d dept det dr drs e
elec ens f ft g gen gov govs h hon i insp invt j jos k l lt m maj messrs mlle mme mr mrs ms msgr mt
n natl o p pfc ph pres prof profs pvt q r rep reps rev s sen sens sfc sgt spc st ste supt t u v vs
w wm x y z
al ala apr ariz assn aug bhd bldg blvd bros calif co colo conn corp cos ct dak dec esq est etc ext
feb fla fri ga inc ind intl jan jr jul jun kan kans ky ltd mar md mich minn mo mon mont neb nev nov
oct okla penn plc rd rt sep sept seq sq sr sys tel tenn thu thurs tue tues univ va vt wed wis wisc
wyo ppte ppty pte ptes pty ptys
"""
CAPITALISED_ABBREVIATIONS = """
Ark Az Del Ill La Mass Miss Ore Pa Tex Wash ARK AZ DEL ILL LA MASS MISS ORE PA TEX WASH Mfg Mtg mfg
mtg
"""
NUMBERED_ABBREVIATIONS = "art ca fig figs no nos op pp prop"
_OPENERS = """
a about according after an as at but he her here however if in it last many more mr. ms. now once
one other our she since so some such that the their then there these they this we what when while
yet you
"""
# Words that open a sentence; only with a capital.
OPENERS = f"{_OPENERS.title()} {_OPENERS.upper()}"
