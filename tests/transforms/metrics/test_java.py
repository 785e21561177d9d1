"""The Java programs are pycocoevalcap's, contained."""

import os
import subprocess

import pytest
from pycocoevalcap.meteor.meteor import Meteor
from pycocoevalcap.tokenizer.ptbtokenizer import PUNCTUATIONS, PTBTokenizer

from transforms.metrics import java

pytestmark = pytest.mark.skipif(
    java.find_java() is None and not os.environ.get("CI"), reason="there is no Java here"
)

CAPTIONS = [
    "A dog, running (fast)!",
    "",
    "naïve café -- 3 1/2 men's U.S. don't",
    "...",
    'it\'s "quoted" text ||| x',
    "二人の犬",
    "",
]


def test_tokens_equal_pycocoevalcaps():
    captions = {i: [{"caption": caption}] for i, caption in enumerate(CAPTIONS)}
    expected = PTBTokenizer().tokenize(captions)
    assert [" ".join(words) for words in java.ptb_tokens(CAPTIONS)] == [
        expected[i][0] for i in range(len(CAPTIONS))
    ]


def test_the_marks_are_pycocoevalcaps():
    assert set(PUNCTUATIONS) == java.PUNCTUATION


def test_no_line_break_of_any_kind_shifts_the_captions():
    captions = [f"one{mark}two" for mark in ("\n", "\r", "\u2028", "\x0b", "\x85", "\x1d")] + ["x"]
    assert java.ptb_tokens(captions) == [["one", "two"]] * 6 + [["x"]]


def test_the_locale_does_not_matter(monkeypatch):
    monkeypatch.setenv("LC_ALL", "C")
    assert java.ptb_tokens(["Déjà vu"]) == [["déjà", "vu"]]


def test_meteor_equals_pycocoevalcaps():
    references = [["a dog runs", "the dog is running"], ["two cats sleep"], ["a red car", ""]]
    candidates = ["a dog is running", "", "the automobile | is red"]
    official = Meteor()
    expected = official.compute_score(
        dict(enumerate(references)), {i: [c] for i, c in enumerate(candidates)}
    )
    others = ["two cats sleep"] * 3
    results = java.meteor(references, [others, candidates])
    assert results[1] == expected
    assert results[0][1][1] == pytest.approx(1.0)


@pytest.mark.parametrize(
    "script, reason",
    [
        ("exec sleep 60", "passed 1 s"),
        ("echo 'Exception: out of memory' >&2; exit 1", "out of memory"),
        ("while read line; do echo nonsense; done", "passed 1 s"),
    ],
)
def test_a_meteor_that_hangs_or_dies_is_ended(monkeypatch, tmp_path, script, reason):
    fake = tmp_path / "java"
    fake.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\n{script}\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(java.JavaError, match=reason):
        java.meteor([["a"], ["b"]], [["a", "b"]], timeout=1)
    pid = (tmp_path / "pid").read_text().strip()
    assert subprocess.run(["ps", "-p", pid], capture_output=True).returncode != 0
