"""Which of a captioner's captions are worth training on: the confident ones, and not all the same.

Images are taken in the order of their best caption's agreement. Captions that would make the data
monotonous are passed over: a sentence that many images already have, and one with four words in a
row that too many captions already have.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from trainer.self_training.candidates import Candidates, Caption

ORDER = 4  # Words of the n-grams that are counted.
# How many times as often as people a captioner may use an n-gram.
EXCESS = 2.0

Words = tuple[str, ...]

# What the counts of a round's books are called in messages.
_MEANINGS = {
    "listed": "listed",
    "kept": "kept",
    "unsure": "without a caption as sure as --min_confidence",
    "unfinished": "without a caption that comes to its end",
    "repeated": "with captions that too many others have",
    "beyond_share": "beyond the share of --keep",
    "known": "in the labelled data set already",
}


@dataclasses.dataclass(frozen=True)
class Rules:
    """What is kept.

    Attributes:
        keep: share of the unlabelled images that are kept at most, 0 to 1.
        min_confidence: of a caption, 0 to 1.
        captions: of an image at most.
        caption_share: share of the unlabelled images that may have the same caption; one may in
            any case.
        ngram_share: share of the images that may have the same n-gram, where people use it less.
    """

    keep: float
    min_confidence: float
    captions: int
    caption_share: float
    ngram_share: float


@dataclasses.dataclass
class Chosen:
    """The outcome.

    Attributes:
        captions: of each image that is kept, by key.
        books: where the candidates' images went: `kept`, `unsure` (no caption is confident enough),
            `unfinished` (no caption comes to its end), `repeated` (all are like too many others),
            `beyond_share`.
    """

    captions: dict[str, tuple[Caption, ...]]
    books: dict[str, int]


def choose(
    candidates: Sequence[Candidates],
    rules: Rules,
    words: Mapping[str, Words],
    human: Iterable[Words],
) -> Chosen:
    """Choose images and captions.

    Args:
        candidates: of each unlabelled image.
        rules: what is kept.
        words: the words of each caption's text.
        human: the words of captions that people wrote.
    """
    images = len(candidates)
    limits = _limits(human, rules, images)
    per_ngram = max(1, round(rules.ngram_share * images))
    per_caption = max(1, round(rules.caption_share * images))
    wanted = round(rules.keep * images)
    unfinished = sum(not image.captions for image in candidates)
    sure = []
    for image in candidates:
        captions = [each for each in image.captions if each.confidence >= rules.min_confidence]
        if captions:
            sure.append((image.key, captions))
    sure.sort(key=lambda image: (-image[1][0].agreement, -image[1][0].confidence, image[0]))
    chosen: dict[str, tuple[Caption, ...]] = {}
    sentences: Counter[Words] = Counter()
    ngrams: Counter[Words] = Counter()
    repeated = 0
    for key, captions in sure:
        if len(chosen) == wanted:
            break
        kept: list[Caption] = []
        for caption in captions:
            sentence = words[caption.text]
            new = set(_ngrams(sentence)) - {
                gram for other in kept for gram in _ngrams(words[other.text])
            }
            if sentences[sentence] < per_caption and all(
                ngrams[gram] < limits.get(gram, per_ngram) for gram in new
            ):
                kept.append(caption)
                sentences[sentence] += 1
                ngrams.update(new)
            if len(kept) == rules.captions:
                break
        if kept:
            chosen[key] = tuple(kept)
        else:
            repeated += 1
    books = {
        "kept": len(chosen),
        "unsure": images - len(sure) - unfinished,
        "unfinished": unfinished,
        "repeated": repeated,
        "beyond_share": len(sure) - len(chosen) - repeated,
    }
    return Chosen(chosen, books)


def in_words(books: Mapping[str, int]) -> str:
    """Return the counts of a round's books, but for those of nothing, for a person."""
    return ", ".join(f"{count:,} {_MEANINGS[name]}" for name, count in books.items() if count)


def remedy(books: Mapping[str, int]) -> str:
    """Return what to do where a round's books say that nothing is kept."""
    if books["beyond_share"]:
        return "raise --keep"
    if books["unsure"]:
        return "lower --min_confidence, or train the captioner longer"
    if books["unfinished"]:
        return "train the captioner longer"
    return "give images that the labelled data set does not have"


def _limits(human: Iterable[Words], rules: Rules, images: int) -> dict[Words, int]:
    """Return how often an n-gram that people use often may be used."""
    captions = 0
    counts: Counter[Words] = Counter()
    for sentence in human:
        captions += 1
        counts.update(set(_ngrams(sentence)))
    allowed = {gram: EXCESS * count / captions for gram, count in counts.items()}
    return {
        gram: max(1, round(share * images))
        for gram, share in allowed.items()
        if share > rules.ngram_share
    }


def _ngrams(sentence: Words) -> list[Words]:
    return [sentence[start : start + ORDER] for start in range(len(sentence) - ORDER + 1)]
