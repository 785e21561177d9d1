"""The flags of the search, and what they mean for a captioner."""

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.captioning.settings import ATTENTION, DETAILS, WORDS
from transforms.commandline import Parser, count, positive
from transforms.errors import UsageError
from transforms.files import expanded
from transforms.search import CONSENSUS, METHODS, USED_BY, SearchOptions, conflict
from transforms.search.options import Phrase

if TYPE_CHECKING:
    from transforms.text import Vocabulary

# The options that a flag sets, with its name where it is another.
FLAGS = {name: name for name in (*USED_BY, "length_penalty", "no_repeat_ngram")}
FLAGS["groups"] = "beam_groups"
DEFAULTS = SearchOptions()


def add(parser: Parser) -> None:
    """Add the flags to a command's parser."""
    group = parser.add_argument_group("search", "See docs/search.md.")
    add = group.add_argument
    add("--search", choices=METHODS, help="how captions are searched; default: the captioner's")
    add(
        "--beam_width",
        type=positive,
        help="hypotheses kept; default: the captioner's, and of a consensus"
        f" {CONSENSUS['beam_width']} where the captioner was evaluated with another search",
    )
    add(
        "--length_penalty",
        type=float,
        help="power of the length that log-probabilities are divided by; default: the captioner's",
    )
    add(
        "--no_repeat_ngram",
        type=count,
        metavar="N",
        help="no sequence of N words occurs twice in a caption; 0, the default, allows any",
    )
    add("--beam_groups", type=positive, help="diverse: groups; default: one a hypothesis")
    add(
        "--diversity",
        type=float,
        help=f"diverse: the price of a word of an earlier group; default: {DEFAULTS.diversity}",
    )
    add(
        "--top_p",
        type=float,
        help=f"nucleus: share of the probability to draw from; default: {DEFAULTS.top_p}",
    )
    add(
        "--temperature",
        type=float,
        help="nucleus, consensus: below 1 likely words gain; default:"
        f" {DEFAULTS.temperature}, {CONSENSUS['temperature']}",
    )
    add(
        "--samples",
        type=positive,
        help="nucleus, consensus: captions to draw; default:"
        f" {DEFAULTS.samples}, {CONSENSUS['samples']}",
    )
    add("--seed", type=count, help=f"nucleus, consensus: of the drawing; default: {DEFAULTS.seed}")
    add(
        "--banned_words",
        type=expanded,
        default="",
        help="words and phrases that no caption has: separated by commas, or the path of a file,"
        " one a line, with a slash or a suffix: words.txt, ./words",
    )
    add(
        "--required_words",
        type=expanded,
        default="",
        help="words and phrases that captions have, in the same way; captions that have them all"
        " go first",
    )


def details(text: str) -> tuple[str, ...]:
    """Parse --details, names separated by commas."""
    names = {name for name in text.split(",") if name}
    if unknown := sorted(names.difference(DETAILS)):
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(DETAILS)}")
    # Where the captioner looked says little without the word that it looked for.
    return tuple(sorted(names | ({WORDS} if ATTENTION in names else set())))


def check_details(
    wanted: Sequence[str], folders: Sequence[str], manifests: Sequence[Mapping[str, Any]]
) -> None:
    """Raise UsageError if attention is wanted and no captioner attends."""
    if ATTENTION in wanted and all(
        manifest["configuration"].get("attention") == "none" for manifest in manifests
    ):
        raise UsageError(
            f"--details={ATTENTION}: {folders[0]} has no attention; train one with --attention=soft"
        )


def resolve(
    options: argparse.Namespace, folders: Sequence[str], manifests: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Check the flags against the captioners.

    Args:
        options: parsed.
        folders: of the captioners.
        manifests: their manifests, in the same order.

    Returns:
        `search`, the `SearchOptions`, and `banned_words` and `required_words` as they were given.

    Raises:
        UsageError: the first thing that is wrong.
    """
    from transforms import captioners

    manifest = manifests[0]
    vocabulary, text = captioners.shared_vocabulary(folders, manifests), manifest["text"]
    values = _values(options, manifest["configuration"])
    if values["method"] == "consensus":
        captioners.frequencies(folders[0], manifest, vocabulary)
    banned, required = words(options.banned_words), words(options.required_words)
    values["banned"] = _banned(banned, vocabulary, text)
    values["required"] = _required(required, vocabulary, text, folders[0])
    search = SearchOptions(**values)
    search.check()
    _check_required(search, vocabulary, text["max_length"])
    return {"search": search, "banned_words": banned, "required_words": required}


def _values(options: argparse.Namespace, own: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the flags, and without them the captioner's configuration, say of a search."""
    evaluated = own.get("search", "beam")
    method = options.search or evaluated
    values: dict[str, Any] = {name: own[name] for name in ("beam_width", "length_penalty")}
    if method == "consensus":
        values = {**values, **CONSENSUS}
        if evaluated == method:
            values["beam_width"] = own["beam_width"]
    values["method"] = method
    for name, flag in FLAGS.items():
        value = getattr(options, flag)
        if value is None:
            continue
        methods = USED_BY.get(name, METHODS)
        if method not in methods:
            *others, last = methods
            named = f"{', '.join(others)} and {last}" if others else last
            raise UsageError(f"--{flag} is for --search={named}, not for {method}")
        values[name] = value
    if method == "diverse":
        values.setdefault("groups", values["beam_width"])
    return values


def _banned(
    phrases: Sequence[str], vocabulary: "Vocabulary", text: Mapping[str, Any]
) -> tuple[Phrase, ...]:
    """Return the ids of phrases, without those that no caption can have anyway."""
    found = _ids("--banned_words", phrases, vocabulary, text)
    for phrase in (phrase for phrase, ids in found.items() if ids is None):
        print(f"note: --banned_words: no caption can have {phrase!r} anyway", file=sys.stderr)
    return tuple(sorted({ids for ids in found.values() if ids}))


def _required(
    phrases: Sequence[str], vocabulary: "Vocabulary", text: Mapping[str, Any], folder: str
) -> tuple[Phrase, ...]:
    """Return the ids of phrases; raise UsageError for one that no caption can have."""
    from transforms.captioner import VOCABULARY

    found = _ids("--required_words", phrases, vocabulary, text)
    for phrase in (phrase for phrase, ids in found.items() if ids is None):
        raise UsageError(
            f"--required_words: the captioner does not know {phrase!r}: choose words of"
            f" {folder}/{VOCABULARY}"
        )
    return tuple(sorted({ids for ids in found.values() if ids}))


def _check_required(search: SearchOptions, vocabulary: "Vocabulary", longest: int) -> None:
    """Raise UsageError where no caption can have all the required words.

    Args:
        search: with the words.
        vocabulary: whose ids they are.
        longest: words that a caption may have.
    """
    if sum(map(len, search.required)) > longest:
        raise UsageError(f"--required_words: they are more than the {longest} words of a caption")
    for phrase in search.required:
        if any(_contains(phrase, other) for other in search.banned):
            name = " ".join(vocabulary.decode(phrase))
            raise UsageError(f"{name!r} is in --required_words and in --banned_words")
    if clash := conflict(search.required, search.no_repeat_ngram):
        names = " and ".join(repr(" ".join(vocabulary.decode(phrase))) for phrase in clash)
        raise UsageError(
            f"--required_words: no caption can have {names} with"
            f" --no_repeat_ngram={search.no_repeat_ngram}: raise it, or leave one of them out"
        )


def words(value: str) -> tuple[str, ...]:
    """Return the phrases of a flag: of a file, one a line, or separated by commas.

    Only what has a slash or a suffix names a file: a word may be the name of one by chance.

    Raises:
        UsageError: what looks like a file is none.
    """
    from transforms import files
    from transforms.text import normalise

    pieces = value.split(",")
    if re.search(r"[/\\]|\.\w+$", value):
        try:
            pieces = files.read_bytes(value).decode("utf-8-sig", "replace").splitlines()
        except FileNotFoundError as error:
            raise UsageError(f"{value}: there is no such file of words") from error
        except IsADirectoryError as error:
            raise UsageError(f"{value}: a folder: name the file of words in it") from error
    return tuple(sorted({piece for each in pieces if (piece := normalise(each))}))


def _ids(
    flag: str, phrases: Sequence[str], vocabulary: "Vocabulary", text: Mapping[str, Any]
) -> dict[str, Phrase | None]:
    """Return the ids of phrases; None where the vocabulary lacks one of their words."""
    from transforms.text import tokenize

    found: dict[str, Phrase | None] = {}
    for phrase in phrases:
        tokens = tokenize(phrase, text["tokenizer"])
        if not tokens:
            raise UsageError(f"{flag}: {phrase!r} has no words")
        known = all(token in vocabulary for token in tokens)
        found[phrase] = tuple(vocabulary.encode(tokens, len(tokens))[1:-1]) if known else None
    return found


def _contains(phrase: Phrase, part: Phrase) -> bool:
    starts = range(len(phrase) - len(part) + 1)
    return any(phrase[start : start + len(part)] == part for start in starts)
