"""Captioning with other searches, with several captioners, and with details."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import caption
from tests import captioners
from tests.trainer import toy
from trainer import task
from transforms import captioner as contract
from transforms import captions_table
from transforms.commandline import Exit

COUNT = 5


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for number, data in enumerate(captioners.jpegs(COUNT)):
        (folder / f"{number}.jpg").write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def other_captioner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A captioner with the same words, that sees larger pictures with a CNN of its own."""
    folder = tmp_path_factory.mktemp("other")
    data = captioners.dataset(folder / "data", "none")
    data.manifest["encoder"]["input_size"] = [48, 40]
    model = captioners.model(data, captioners.configuration(convolutions=(4, 6), pixels=16, seed=5))
    captioners.write(folder / "captioner", data, model)
    return folder / "captioner"


def run(images: Path, output: Path, *flags: str) -> dict[str, dict[str, Any]]:
    """Run the job; returns the table by key."""
    arguments = [f"--images={images}", f"--output={output}", "--batch_size=3", "--page_images=0"]
    assert caption.main([*arguments, *flags]) is Exit.DONE
    return {row["key"]: row for row in captions_table.rows(str(output))}


def test_details_come_where_they_are_asked_for_and_stay_in_the_table(
    images: Path, captioner_folder: Path, tmp_path: Path
) -> None:
    captioner = f"--captioner={captioner_folder}"
    plain = run(images, tmp_path, captioner, "--export=jsonl")
    assert len(plain) == COUNT
    assert not {"word_scores", "attention"} & set(plain["0.jpg"])
    # One image is new: the others' rows stay as they were.
    details = run(
        images, tmp_path / "details", captioner, "--details=words,attention", "--export=jsonl"
    )
    for key, row in details.items():
        assert row["caption"] == plain[key]["caption"]
        assert " ".join(each["word"] for each in row["word_scores"]) == row["caption"]
        assert all(each["score"] <= 0 for each in row["word_scores"])
        maps = np.array(row["attention"])
        assert maps.shape == (len(row["word_scores"]), 4, 4)
        np.testing.assert_allclose(maps.sum(axis=(1, 2)), 1, atol=0.01)
    # A part that is written anew keeps its columns, and so does a copy for a new name.
    (images / "0.jpg").rename(tmp_path / "0.jpg")
    (images / "0.jpg").write_bytes((images / "1.jpg").read_bytes())
    after = run(images, tmp_path / "details", captioner, "--recaption=never")
    (tmp_path / "0.jpg").rename(images / "0.jpg")
    assert after["0.jpg"]["attention"] == details["1.jpg"]["attention"]
    assert after["3.jpg"] == details["3.jpg"]


def test_an_ensemble_of_captioners_that_see_different_pictures(
    images: Path, captioner_folder: Path, other_captioner: Path, tmp_path: Path
) -> None:
    one, other = f"--captioner={captioner_folder}", f"--captioner={other_captioner}"
    alone = run(images, tmp_path / "one", one)
    twice = run(images, tmp_path / "twice", one, one)
    both = run(images, tmp_path / "both", one, other, "--details=attention")
    for key, row in alone.items():
        assert twice[key]["caption"] == row["caption"]
        assert twice[key]["score"] == pytest.approx(row["score"], abs=1e-5)
    assert any(both[key]["score"] != pytest.approx(alone[key]["score"]) for key in alone)
    assert np.array(both["0.jpg"]["attention"]).shape[1:] == (4, 4)


def test_words_are_required_and_banned(
    images: Path, captioner_folder: Path, tmp_path: Path
) -> None:
    captioner = f"--captioner={captioner_folder}"
    flags = ["--required_words=blue,big box", "--banned_words=red", "--no_repeat_ngram=1"]
    for row in run(images, tmp_path, captioner, *flags).values():
        assert row["has_required"]
        words = row["caption"].split()
        assert "blue" in words
        assert "big box" in row["caption"]
        assert "red" not in words
        assert len(set(words)) == len(words)


def test_what_is_drawn_depends_on_the_picture_and_the_seed_alone(
    images: Path, captioner_folder: Path, tmp_path: Path
) -> None:
    flags = [f"--captioner={captioner_folder}", "--search=nucleus", "--top_p=1"]
    drawn = run(images, tmp_path / "all", *flags)
    some = run(images / "[13].jpg", tmp_path / "some", *flags)
    for key in ("1.jpg", "3.jpg"):
        assert some[key]["caption"] == drawn[key]["caption"]
        captions = {each["caption"] for each in drawn[key]["alternatives"]}
        assert captions == {each["caption"] for each in some[key]["alternatives"]}
    again = run(images, tmp_path / "again", *flags, "--seed=1")
    assert any(again[key]["caption"] != drawn[key]["caption"] for key in drawn)


@pytest.mark.usefixtures("without_java")
def test_a_captioner_that_was_evaluated_by_consensus_captions_by_consensus(
    images: Path, tmp_path: Path
) -> None:
    data, output = toy.dataset(tmp_path / "data"), tmp_path / "captioner"
    flags = [f"--dataset={data.folder}", f"--output={output}", "--search=consensus", "--epochs=1"]
    small = ["--units=12", "--embedding=8", "--hidden=10", "--attention_units=6", "--beam_width=4"]
    assert task.main([*flags, *small]) is Exit.DONE
    search = contract.read_manifest(str(output))["metrics"]["search"]
    assert (search["method"], search["beam_width"], search["samples"]) == ("consensus", 4, 60)
    assert "by consensus search (the one of a beam of 4" in (output / "MODEL_CARD.md").read_text()
    assert "consensus search" in (output / "training.html").read_text()
    assert (output / "ngrams.txt").read_text().startswith("images 12 least 8\n12\ta\n")
    chosen = [f"--captioner={output}", "--engine=tensorflow"]
    rows = run(images, tmp_path / "own", *chosen)
    configuration = captions_table.read_manifest(str(tmp_path / "own"))["configuration"]
    assert configuration["search"]["method"] == "consensus"
    for key, beam in run(images, tmp_path / "beam", *chosen, "--search=beam").items():
        both = [
            {each["caption"]: pytest.approx(each["score"]) for each in [row, *row["alternatives"]]}
            for row in (rows[key], beam)
        ]
        assert both[0] == both[1]
    # Neither the batch nor a second captioner that thinks the same changes anything.
    for key, row in run(images / "[13].jpg", tmp_path / "some", *chosen, *chosen[:1]).items():
        assert row["caption"] == rows[key]["caption"]
