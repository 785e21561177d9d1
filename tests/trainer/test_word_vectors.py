import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainer import toy
from trainer import word_vectors
from transforms.errors import UsageError

WORDS = ("<pad>", "狗", "dog", ". .", "unseen")


def written(tmp_path, text):
    path = tmp_path / "vectors.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


@pytest.mark.parametrize("head", ["", "4 3\n"])
def test_the_vocabulary_s_words_are_found_in_either_format(tmp_path, head):
    body = "dog 1 -2 3e-1\nother 9 9 9\n. . 4 5 6\n狗 7 8 9 \ndog 0 0 0\n"
    found = word_vectors.read(written(tmp_path, head + body), WORDS, 3)
    assert {WORDS[place]: vector.tolist() for place, vector in found.items()} == {
        "dog": [1, -2, pytest.approx(0.3)],
        ". .": [4, 5, 6],
        "狗": [7, 8, 9],
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dog 1 2\n", "2 numbers, and --embedding=3"),
        ("dog 1 2 3 4\n", "4 numbers, and --embedding=3"),
        ("dog 1 2 3\ncat 1 2\n", "line 2: 2 numbers"),
        ("dog 1 two 3\n", "line 1: a word must be followed by numbers"),
        ("dog 1 nan 3\n", "not finite"),
        ("cat 1 2 3\n", "none of the vocabulary's 5 words"),
        ("", "none of the vocabulary's"),
        (b"3 3\ndog \0\x80\x3f", "convert word2vec's binary format"),
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path, text, message):
    with pytest.raises(UsageError, match=message):
        word_vectors.read(written(tmp_path, text), WORDS, 3)
    with pytest.raises(UsageError, match="No such file"):
        word_vectors.read(str(tmp_path / "absent"), WORDS, 3)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("vectors") / "file"
    path.write_bytes(data)
    try:
        found = word_vectors.read(str(path), WORDS, 2)
    except UsageError:
        return
    assert all(vector.shape == (2,) for vector in found.values())


def test_vectors_are_scaled_to_their_place_and_the_rest_stays():
    table = np.random.default_rng(0).uniform(-0.05, 0.05, (6, 4)).astype(np.float32)
    vectors = {1: np.array([4, 0, 0, -4], np.float32), 3: np.array([0, 8, -8, 0], np.float32)}
    result = word_vectors.fill(table, vectors)
    np.testing.assert_array_equal(result[[0, 2, 4, 5]], table[[0, 2, 4, 5]])
    assert result[[1, 3]].std() == pytest.approx(table.std())
    np.testing.assert_allclose(result[3] @ result[3], 4 * result[1] @ result[1], rtol=1e-5)


def test_a_captioner_begins_with_them(tmp_path):
    path = written(tmp_path, "red 1 2\nball 3 4\nnothing 5 6\n")
    model = toy.captioner(embedding=2)
    before = model.decoder.embedding.embeddings.numpy()
    assert word_vectors.initialise(model, path, toy.WORDS) == 2
    after = model.decoder.embedding.embeddings.numpy()
    changed = np.flatnonzero((before != after).any(axis=1))
    assert [toy.WORDS[place] for place in changed] == ["red", "ball"]
