"""Frequencies of n-grams: how they are counted, and the file that has them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms import ngrams
from transforms.errors import UsageError
from transforms.ngrams import ORDERS, UNSEEN, Frequencies
from transforms.text import END, RESERVED, START, UNK, Vocabulary

VOCABULARY = Vocabulary((*RESERVED, "a", "red", "dog", "it's", "狗"))
A, RED, DOG, ITS = range(4, 8)
IMAGES = st.lists(
    st.lists(st.lists(st.integers(UNK, len(VOCABULARY) - 1), max_size=8), max_size=3), max_size=9
)


def named(frequencies):
    rows = zip(frequencies.grams.tolist(), frequencies.counts.tolist(), strict=True)
    return {tuple(word for word in row if word): count for row, count in rows}


def weight(frequencies, gram):
    numbers = np.zeros(1, np.int64)
    for order, word in enumerate(gram):
        numbers = frequencies.extend(order, numbers, np.array([word]))
    return frequencies.weights(len(gram) - 1, numbers)[0], numbers[0]


def read(content):
    return Frequencies.from_bytes(content, VOCABULARY, "ngrams.txt")


def test_an_image_counts_once_and_unknown_words_not_at_all():
    captions = [
        [[START, A, RED, DOG, END], [START, A, DOG, A, DOG, END]],
        [[START, A, DOG, UNK, RED, END]],
        [[START, ITS, UNK, DOG, RED, END]],
    ]
    two = ngrams.count(captions, least=2)
    assert two.images == 3
    assert named(two) == {(RED,): 3, (DOG,): 3, (A,): 2, (A, DOG): 2}
    assert two.to_text(VOCABULARY) == "images 3 least 2\n3\tred\n3\tdog\n2\ta\n2\ta dog\n"
    # Of equals the shorter ones are named; what is not counts as much as the last that is.
    assert named(ngrams.count(captions, least=1, most=3)) == {(RED,): 3, (DOG,): 3, (A,): 2}
    assert ngrams.count(captions, least=1, most=3).least == 2
    assert weight(two, (RED,))[0] == 0
    assert weight(two, (A, DOG))[0] == pytest.approx(math.log(3 / 2))
    assert weight(two, (A, RED)) == (pytest.approx(math.log(3 / 2)), UNSEEN)
    assert weight(two, (A, RED, DOG, A))[1] == UNSEEN


@given(IMAGES, st.integers(1, 4), st.integers(1, 30))
def test_counts_are_those_of_counting_one_by_one_and_survive_the_file(images, least, most):
    expected = {}
    for captions in images:
        grams = {
            tuple(caption[start : start + size])
            for caption in captions
            for size in range(1, ORDERS + 1)
            for start in range(len(caption) - size + 1)
        }
        for gram in grams:
            if UNK not in gram:
                expected[gram] = expected.get(gram, 0) + 1
    ranked = sorted(expected, key=lambda gram: (-expected[gram], len(gram), gram))
    ranked = [gram for gram in ranked if expected[gram] >= least]
    counted = ngrams.count(images, least, most)
    assert named(counted) == {gram: expected[gram] for gram in ranked[:most]}
    text = counted.to_text(VOCABULARY)
    again = read(text.encode())
    assert again.to_text(VOCABULARY) == text
    assert (again.images, again.least) == (len(images), counted.least)
    for gram in expected:
        count = max(counted.least, expected[gram])
        assert weight(again, gram)[0] == pytest.approx(max(0, math.log(len(images) / count)))


@given(st.one_of(st.binary(), st.tuples(st.integers(0, 40), st.binary(max_size=3))))
@settings(max_examples=300)
def test_any_bytes_are_read_or_refused(content):
    if isinstance(content, tuple):
        place, change = content
        whole = b"images 9 least 2\n9\ta\n5\tred dog\n2\t\xe7\x8b\x97 a a red\n"
        content = whole[:place] + change + whole[place + len(change) :]
    try:
        found = read(content)
    except UsageError as error:
        assert "ngrams.txt" in str(error)
        assert "\n" not in str(error)
    else:
        assert read(found.to_text(VOCABULARY).encode()).to_text(VOCABULARY) == found.to_text(
            VOCABULARY
        )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "ngrams.txt:1: this is not the first line"),
        ("images 9 least 2", "its last line is cut off"),
        ("images 9 least 2\n3\ta\n3\ta", "its last line is cut off"),
        ("images 9 least 2\n3\ta cat\n", "ngrams.txt:2: '3.*a cat' is no count and words"),
        ("images 9 least 2\n3\t<unk>\n", "is no count and words"),
        ("images 9 least 2\n3\ta\n4\ta\n", "ngrams.txt:3: .*: is double"),
        ("images 9 least 2\n10\ta\n", "is not 2 to 9"),
        ("images 9 least 2\n1\ta\n", "is not 2 to 9"),
        ("images 9 least 2\n3\ta a a a a\n", "is no count and words"),
    ],
)
def test_what_is_wrong_is_named(text, message):
    with pytest.raises(UsageError, match=message):
        read(text.encode())
