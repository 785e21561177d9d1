"""The vocabulary."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.errors import UsageError
from transforms.text import END, PAD, RESERVED, START, UNK, Vocabulary

VOCABULARY = Vocabulary((*RESERVED, "a", "dog", "runs"))
WORD = st.text(min_size=1).filter(lambda word: word.split() == [word] and word not in RESERVED)
VOCABULARIES = st.lists(WORD, unique=True).map(lambda words: Vocabulary((*RESERVED, *words)))


def test_the_commonest_words_come_first_and_equals_by_spelling() -> None:
    counts = {"dog": 5, "a": 9, "cat": 5, "rare": 4, "bird": 7}
    assert Vocabulary.from_counts(counts).tokens == (*RESERVED, "a", "bird", "cat", "dog")
    assert Vocabulary.from_counts(counts.items(), 4, 2).tokens == (*RESERVED, "a", "bird")


def test_a_word_spelt_like_a_reserved_token_is_unknown() -> None:
    vocabulary = Vocabulary.from_counts({"<end>": 50, "dog": 50})
    assert vocabulary.tokens == (*RESERVED, "dog")
    assert vocabulary.encode(["<end>", "<pad>", "dog"], 5) == [START, UNK, UNK, 4, END]


def test_no_word_left_names_the_remedy() -> None:
    with pytest.raises(UsageError, match=r"5 times in the train split: lower --min_count$"):
        Vocabulary.from_counts({"dog": 4})


@given(VOCABULARIES, st.lists(WORD), st.integers(0, 20))
def test_a_caption_is_cut_between_start_and_end(
    vocabulary: Vocabulary, words: list[str], max_length: int
) -> None:
    ids = vocabulary.encode(words, max_length)
    assert ids[0] == START
    assert ids[-1] == END
    assert len(ids) == min(len(words), max_length) + 2
    assert all(number == UNK or number > UNK for number in ids[1:-1])
    assert vocabulary.decode(ids) == [
        word if word in vocabulary else RESERVED[UNK] for word in words[:max_length]
    ]


@given(VOCABULARIES)
def test_text_and_digest_round_trip(vocabulary: Vocabulary) -> None:
    again = Vocabulary.from_text(vocabulary.to_text())
    assert again == vocabulary
    assert again.digest == vocabulary.digest
    assert len(again) == len(vocabulary.tokens)


def test_the_file_is_one_token_a_line() -> None:
    assert VOCABULARY.to_text() == "<pad>\n<start>\n<end>\n<unk>\na\ndog\nruns\n"
    assert VOCABULARY.digest != Vocabulary((*RESERVED, "dog", "a", "runs")).digest


def test_decoding_stops_at_the_end() -> None:
    assert VOCABULARY.decode([START, 4, 5, PAD, END, 6, PAD]) == ["a", "dog"]
    for number in (7, -1):
        with pytest.raises(ValueError, match="outside the vocabulary of 7"):
            VOCABULARY.decode([number])


@pytest.mark.parametrize(
    "text",
    ["", "a\ndog\n", "<pad>\n<start>\n<end>\n<unk>\na\na\n", "<pad>\n<start>\n<end>\n<unk>\n\n"],
)
def test_what_is_no_vocabulary_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a vocabulary"):
        Vocabulary.from_text(text)
