"""The metrics equal the gold values, and what Java cannot give is said."""

import json
import os
import subprocess
import sys

import pytest

from tests import data
from transforms.metrics import METRICS, Scorer, java

GOLD = dict(
    zip(METRICS, [0.55, 0.428174, 0.284043, 0.201143, 0.295797, 0.522104, 1.242192], strict=True)
)
REFERENCES = {
    "dog.jpg": ["A dog runs.", "The brown dog is running", "a dog"],
    "cat.jpg": ["A cat sleeps.", "a cat, asleep on a bed"],
    "sea.jpg": ["A dog swims in the sea", "waves"],
}
CANDIDATES = {"dog.jpg": "a brown dog runs", "cat.jpg": "a cat on a bed", "sea.jpg": "the sea"}
needs_java = pytest.mark.skipif(
    java.find_java() is None and not os.environ.get("CI"), reason="there is no Java here"
)


@pytest.fixture
def no_java(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))


def score(references, candidates):
    return Scorer(references).score_beside_floor(candidates)[0].scores


def gold():
    folder = data.shared("metrics_gold")
    hypotheses, first, second = (
        (folder / name).read_text().splitlines() for name in ("hyp.txt", "ref1.txt", "ref2.txt")
    )
    references = {str(i): list(pair) for i, pair in enumerate(zip(first, second, strict=True))}
    return references, {str(i): caption for i, caption in enumerate(hypotheses)}


@needs_java
def test_gold_values(capfd):
    references, candidates = gold()
    result, caption, floor = Scorer(references).score_beside_floor(candidates)
    assert list(result.scores) == list(METRICS)
    assert result.scores == pytest.approx(GOLD, abs=1e-6)
    assert result.notes == ()
    assert caption in {text for captions in references.values() for text in captions}
    assert list(floor.scores) == list(METRICS)
    assert capfd.readouterr().out == ""  # pycocoevalcap prints; a command's output is its own


def test_gold_values_without_java(no_java):
    references, candidates = gold()
    scores = score(references, candidates)
    assert scores == pytest.approx({k: v for k, v in GOLD.items() if k != "METEOR"}, abs=1e-6)


def test_without_java_the_rest_is_computed_and_says_so(no_java):
    program = (
        "import json, sys; from transforms.metrics import Scorer;"
        "references, candidates = json.load(sys.stdin);"
        "result, _, _ = Scorer(references).score_beside_floor(candidates);"
        "print(json.dumps([result.scores, result.notes]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps([REFERENCES, CANDIDATES]),
        capture_output=True,
        text=True,
        check=True,
    )
    scores, notes = json.loads(done.stdout)
    assert list(scores) == [name for name in METRICS if name != "METEOR"]
    assert len(notes) == 1
    assert "METEOR" in notes[0] and "no `java` command" in notes[0] and "install" in notes[0]
    assert notes[0] in done.stderr
    assert scores == score(REFERENCES, CANDIDATES)


def test_a_broken_java_counts_as_none(monkeypatch, tmp_path):
    broken = tmp_path / "java"
    broken.write_text("#!/bin/sh\necho 'no room for a heap' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    result, _, _ = Scorer(REFERENCES).score_beside_floor(CANDIDATES)
    assert "METEOR" not in result.scores and "CIDEr" in result.scores
    assert "no room for a heap" in result.notes[0]


def test_the_floor_is_a_reference_that_suits_most_images(no_java):
    references = {str(i): [f"a dog in the {place}", "it"] for i, place in enumerate("xyz")}
    references["4"] = ["a dog in the snow", "snow"]
    same = {key: captions[0] for key, captions in references.items()}
    _, caption, floor = Scorer(references).score_beside_floor(same)
    assert caption in {text for captions in references.values() for text in captions}
    best = max(
        score(references, dict.fromkeys(references, text))["CIDEr"]
        for captions in references.values()
        for text in captions
    )
    assert floor.scores["CIDEr"] == pytest.approx(best)


def test_chinese_is_scored_by_its_words_without_meteor():
    references = {"1": ["两只狗在草地上跑", "狗在跑"], "2": ["一个男孩在踢足球", "男孩踢球"]}
    same = {key: captions[0] for key, captions in references.items()}
    result, _, _ = Scorer(references, tokenizer="jieba").score_beside_floor(same)
    assert result.scores["BLEU-1"] == pytest.approx(1.0, abs=1e-6)
    assert "METEOR" not in result.scores
    assert "jieba" in result.notes[0]


def test_keys_must_agree(no_java):
    with pytest.raises(ValueError, match="keys"):
        score(REFERENCES, {"dog.jpg": "a dog"})
    with pytest.raises(ValueError, match="no references"):
        score({}, {})
