"""The model card: what it tells, what it keeps to itself, and that its command holds."""

import copy
import re
import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.captioners import HISTORY, configuration
from trainer import model_card, training_page
from trainer.command_line import add_flags
from trainer.configuration import Configuration
from transforms.commandline import Parser, parse_strictly
from transforms.pages.training import Example

CAPTIONER: dict[str, Any] = {
    "configuration": configuration(layers=2, residual=True).to_dict(),
    "encoder": {
        "name": "efficientnet-lite0",
        "weights": "imagenet",
        "features": "grid",
        "input_size": [224, 224],
        "output_shape": [7, 7, 1280],
        "digest": "e" * 64,
        "dtype": "float16",
    },
    "text": {"tokenizer": "words", "max_length": 20, "min_count": 5, "size": 2534},
    "decoder": {"kind": "lstm", "parameters": 4_200_000},
    "metrics": {
        "split": "dev",
        "epoch": 9,
        "scores": {"BLEU-4": 0.185, "CIDEr": 0.45},
        "floor": {"caption": "a *dog* | runs", "scores": {"CIDEr": 0.116}},
    },
    "provenance": {
        "dataset": {"name": "flickr8k", "digest": "d" * 64},
        "flags": {"max_minutes": 40},
        "seconds": 2400.0,
        "hardware": {"machine": "x86_64", "cores": 2, "gpus": []},
        "software": {"tensorflow": "2.21.0"},
    },
}
DATASET: dict[str, Any] = {
    "configuration": {
        "images": ["/home/someone/photos/Images"],
        "captions": ["C:\\Users\\someone\\captions.txt"],
        "captions_format": "flickr",
    },
    "splits": {"train": {"images": 6000, "captions": 30000}},
}


def card(**changes: Any) -> str:
    captioner = {**copy.deepcopy(CAPTIONER), **changes}
    return model_card.write(captioner, DATASET, name="attention-lstm")


def test_scores_stand_beside_the_floor() -> None:
    text = card()
    assert "| CIDEr | 0.450 | 0.116 |" in text
    assert "| BLEU-4 | 0.185 | – |" in text
    assert r"“a \*dog\* \| runs” for every image" in text


def test_tells_where_the_data_is_from_and_nothing_of_the_machine() -> None:
    vectors = configuration(word_vectors="/home/someone/glove.txt")
    text = card(configuration=model_card.portable(vectors.to_dict()))
    assert "| word\\_vectors | glove.txt |" in text
    assert "--word_vectors=glove.txt" in text
    assert "| Images from | Images |" in text
    assert "| Captions from | captions.txt |" in text
    assert "| train | 6000 | 30000 |" in text
    assert "d" * 64 in text
    assert "someone" not in text
    assert "It trained for 40.0 minutes on 2 cores" in text


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("efficientnet-lite2", r"trained on ImageNet \(Apache-2\.0\)"),
        ("/home/someone/cnn.keras", r"inside, cnn\.keras, has a licence of its own"),
    ],
)
def test_names_the_encoder_s_licence(name: str, wanted: str) -> None:
    text = card(encoder={**CAPTIONER["encoder"], "name": name})
    assert re.search(wanted, text)
    assert "someone" not in text


def test_a_captioner_from_pixels_has_no_encoder() -> None:
    text = card(encoder={"name": "none", "input_size": [96, 96]})
    assert "a CNN of its own, trained from the pixels" in text
    assert "The encoder inside" not in text


def test_licence_and_note_pass_through() -> None:
    text = model_card.write(
        CAPTIONER, DATASET, name="x", license="cc-by-4.0", data_note="*Ours.* [More](a.html)"
    )
    assert text.startswith('---\nlicense: "cc-by-4.0"\n')
    assert "as its maker states it: cc-by-4.0." in text
    assert "*Ours.* [More](a.html)" in text


@pytest.mark.parametrize("settings", [{}, {"convolutions": (4, 6), "tie": True, "dropout": 0.0}])
def test_the_command_makes_the_same_configuration(settings: dict[str, Any]) -> None:
    wanted = Configuration(**settings)
    command = model_card.command({**CAPTIONER, "configuration": wanted.to_dict()}, "my captioner")
    words = shlex.split(command.replace("\\\n", ""))
    assert words[:3] == ["python", "-m", "trainer.task"]
    # The trainer refuses flags that would have no effect.
    assert not re.search("--(no-)?(scst_samples|heads|finetune)", command)
    parser = Parser("trainer.task", "")
    for flag in ("dataset", "output", "max_minutes"):
        parser.add_argument(f"--{flag}")
    add_flags(parser)
    options = vars(parse_strictly(parser, words[3:]))
    assert options.pop("dataset") == "flickr8k"
    assert options.pop("output") == "my captioner"
    assert options.pop("max_minutes") == "40"
    assert Configuration(**options) == wanted


def test_the_page_of_the_training_tells_no_more() -> None:
    vectors = configuration(word_vectors="C:\\Users\\someone\\glove.txt").to_dict()
    captioner = {**CAPTIONER, "configuration": model_card.portable(vectors)}
    page = training_page.write(captioner, HISTORY, [], name="x")
    assert "--word_vectors=glove.txt" in page
    assert "someone" not in page


def test_the_page_of_the_training_says_what_language_captions_are_in() -> None:
    examples = [Example("a.jpg", "一只狗", "两只狗")]
    chinese = {**CAPTIONER, "text": {**CAPTIONER["text"], "tokenizer": "jieba"}}
    page = training_page.write(chinese, HISTORY, examples, name="x")
    assert page.count('<td dir="auto" lang="zh">') == 2
    page = training_page.write(CAPTIONER, HISTORY, examples, name="x")
    assert page.count('<td dir="auto" lang="">') == 2


@given(st.text())
def test_escaped_text_is_one_line_that_means_itself(text: str) -> None:
    escaped = model_card.escape(text)
    assert len(escaped.splitlines()) <= 1
    assert not re.search(r"(?<!\\)(?:\\\\)*[`*_\[\]<>|]", escaped)
    assert re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", escaped) == " ".join(text.split())
