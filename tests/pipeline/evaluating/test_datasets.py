"""pipeline.evaluate against a split of a data set."""

import dataclasses
import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest

from pipeline import evaluate
from pipeline.common import tables
from pipeline.preprocessing.commit import DUPLICATES_SCHEMA
from tests.pipeline.evaluating.command import ROOT, WORDS, flags
from transforms import files, records
from transforms.commandline import Exit
from transforms.errors import UsageError
from transforms.text import RESERVED, Vocabulary


def record(key, *captions, **changes):
    return records.Record(
        key=key,
        uri=f"/elsewhere/{key}",
        sha256="0" * 64,
        width=40,
        height=30,
        captions=captions,
        token_ids=((1, 3, 2),) * len(captions),
        features=np.zeros(4, np.float16),
        **changes,
    )


def dataset(folder, tokenizer="words", **splits):
    """Write a data set of the records of each split; returns its folder."""
    vocabulary = Vocabulary(RESERVED)
    written = {
        "vocabulary.txt": files.write_bytes(
            f"{folder}/vocabulary.txt", vocabulary.to_text().encode()
        )
    }
    facts = {}
    for split, several in splits.items():
        with files.atomic(f"{folder}/data/{split}.tfrecord") as stream:
            # Records with and without views and generated captions are not encoded together.
            records.write(stream, [line for each in several for line in records.encode([each])])
        written[f"data/{split}.tfrecord"] = {"bytes": stream.size, "sha256": stream.sha256}
        facts[split] = {
            "images": sum(not each.view for each in several),
            "captions": sum(len(each.captions) for each in several if not each.view),
            "files": [f"data/{split}.tfrecord"],
        }
    manifest = {
        "format": "beamcap.dataset",
        "version": 1,
        "encoder": {"name": "some", "output_shape": [4], "dtype": "float16"},
        "text": {"tokenizer": tokenizer, "digest": vocabulary.digest},
        "splits": facts,
        "files": written,
    }
    files.write_json(f"{folder}/dataset.json", manifest)
    return folder


@pytest.fixture
def divided(world):
    """A data set of the world's pictures: one has two views, and a captioner wrote of another."""
    pictures = [
        record(f"sub/{number}.jpg", *(f"A {word} ball {verb}." for verb in ("lies", "is")))
        for number, word in enumerate(WORDS)
    ]
    mirrored = dataclasses.replace(pictures[2], view="flip")
    mixed = dataclasses.replace(pictures[3], generated=(False, True))
    return dataset(
        world / "dataset",
        train=[pictures[2], mirrored, mixed, record("sub/4.jpg", "A ball.", generated=(True,))],
        dev=[],
        test=[pictures[1], record("absent.jpg", "A ball that has no caption."), pictures[0]],
    )


def test_a_split_of_a_data_set_counts_as_a_file_of_its_captions(
    world, divided, without_java, capsys
):
    with (world / "references.jsonl").open("w") as stream:
        for split, several in (("test", (1, 0)), ("train", (2, 3))):
            for number in several:
                captions = [f"A {WORDS[number]} ball {verb}." for verb in ("lies", "is")]
                row = {"image": f"{number}.jpg", "captions": captions, "split": split}
                stream.write(json.dumps(row) + "\n")
        row = {"image": "absent.jpg", "captions": ["A ball that has no caption."], "split": "test"}
        stream.write(json.dumps(row) + "\n")
    reports = []
    for changes in (
        {"references": world / "references.jsonl", "split": "test"},
        {"references": None, "dataset": divided},
    ):
        assert evaluate.main([*flags(world, **changes), "--overwrite"]) == Exit.DONE
        reports.append(json.loads((world / "report" / "report.json").read_text()))
        each = (world / "report" / "images.jsonl").read_text().splitlines()
        assert [json.loads(line)["key"] for line in each] == ["sub/0.jpg", "sub/1.jpg"]
    of_file, of_dataset = reports
    for name in ("metrics", "floor", "notes", "counts", "left_out"):
        assert of_dataset[name] == of_file[name]
    assert of_dataset["counts"] == {
        "captions": 6,
        "images_with_references": 3,
        "evaluated": 2,
        "references": 4,
        "captions_without_references": 4,
        "references_without_caption": 1,
    }
    configuration = of_dataset["configuration"]
    assert configuration["references"] is configuration["references_format"] is None
    assert (configuration["dataset"], configuration["split"]) == (str(divided), "test")
    content = (divided / "dataset.json").read_bytes()
    assert of_dataset["inputs"]["dataset"] == hashlib.sha256(content).hexdigest()
    assert "captions without references in the split test: 4 (sub/2.jpg" in capsys.readouterr().err
    page = (world / "report" / "report.html").read_text()
    assert str(divided) in page and "absent.jpg" in page


def test_views_are_no_images_and_generated_captions_no_references(world, divided, without_java):
    evaluate.main(flags(world, references=None, dataset=divided, split="train"))
    each = [json.loads(line) for line in (world / "report/images.jsonl").read_text().splitlines()]
    assert {row["key"]: row["references"] for row in each} == {
        "sub/2.jpg": ["A blue ball lies.", "A blue ball is."],
        "sub/3.jpg": ["A small ball lies."],
    }
    report = json.loads((world / "report" / "report.json").read_text())
    assert report["counts"]["images_with_references"] == 2


def test_a_caption_of_another_splits_image_is_not_scored(world, without_java):
    data_set = dataset(
        world / "dataset",
        train=[record("city/1.jpg", "A car.")],
        test=[record("beach/1.jpg", "A castle."), record("2.jpg", "A dog.")],
    )
    rows = ["image,uri,caption", "1.jpg,/photos/city/1.jpg,a car", "2.jpg,,a dog"]
    (world / "captions.csv").write_text("\n".join(rows))
    changes = {"captions": world / "captions.csv", "references": None, "dataset": data_set}
    evaluate.main(flags(world, **changes))
    report = json.loads((world / "report" / "report.json").read_text())
    assert report["left_out"] == {
        "captions_without_references": ["1.jpg"],
        "references_without_caption": ["beach/1.jpg"],
    }


def test_a_copy_has_the_references_of_the_image_that_stands_for_it(world, without_java):
    data_set = dataset(world / "dataset", test=[record("a/1.jpg", "A cat."), record("2.jpg", "A.")])
    names = (("b/5.jpg", "a/1.jpg"), ("c/1.jpg", "a/1.jpg"), ("b/2.jpg", "2.jpg"))
    rows = [
        dict.fromkeys(DUPLICATES_SCHEMA.names, "") | {"key": key, "original_key": original}
        for key, original in names
    ]
    facts = tables.write(f"{data_set}/duplicates.parquet", DUPLICATES_SCHEMA, rows)
    manifest = json.loads((data_set / "dataset.json").read_text())
    manifest["files"]["duplicates.parquet"] = facts
    files.write_json(f"{data_set}/dataset.json", manifest)
    # Of the copies, one is judged beside its image, one alone, and one not at all.
    (world / "captions.csv").write_text("image,caption\na/1.jpg,x\nb/5.jpg,y\nb/2.jpg,z\n")
    changes = {"captions": world / "captions.csv", "references": None, "dataset": data_set}
    evaluate.main(flags(world, **changes))
    each = [json.loads(line) for line in (world / "report/images.jsonl").read_text().splitlines()]
    assert {row["key"]: row["references"] for row in each} == {
        "a/1.jpg": ["A cat."],
        "b/5.jpg": ["A cat."],
        "b/2.jpg": ["A."],
    }
    assert json.loads((world / "report" / "report.json").read_text())["left_out"] == {}


def test_a_data_set_says_how_words_are_found(world, without_java):
    data_set = dataset(world / "dataset", "characters", test=[record("0.jpg", "一只猫")])
    (world / "captions.csv").write_text("image,caption\n0,一只狗\n")
    changes = {"captions": world / "captions.csv", "references": None, "dataset": data_set}
    evaluate.main(flags(world, **changes))
    report = json.loads((world / "report" / "report.json").read_text())
    assert report["configuration"]["tokenizer"] == "characters"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": "dataset"}, "--references and --dataset: a report is against one"),
        ({"references": None}, "--references is missing: for example --references=captions.token"),
        (
            {"references": None, "dataset": "dataset", "references_format": "csv"},
            "--references_format is for --references: leave it out with --dataset",
        ),
        (
            {"references": None, "dataset": "dataset", "split": "dev"},
            "/dataset: there is no image with captions in its split dev; it has images in train"
            " (3), test (3): name another --split, or preprocess images for it",
        ),
        ({"references": None, "dataset": "photos"}, "/photos: there is no dataset.json: make the"),
        (
            {"references": None, "dataset": "dataset", "captions": "other.csv"},
            "(such as zebra.jpg) has references in",
        ),
    ],
)
def test_a_data_set_that_cannot_be_the_references_is_refused(world, divided, changes, message):
    (world / "other.csv").write_text("image,caption\nzebra.jpg,a zebra\n")
    paths = {name: world / changes[name] for name in ("dataset", "captions") if name in changes}
    with pytest.raises(UsageError) as caught:
        evaluate.main(flags(world, **(changes | paths)))
    assert message in str(caught.value)
    assert not (world / "report").exists()


def test_a_data_set_that_is_corrupt_is_refused(world, divided):
    path = divided / "data" / "test.tfrecord"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(UsageError, match=r"data/test\.tfrecord: record 2: .* corrupt; make the"):
        evaluate.main(flags(world, references=None, dataset=divided))


def test_reading_a_data_set_needs_no_tensorflow(world, divided):
    code = (
        "import sys; from pipeline import evaluate; evaluate.main(sys.argv[1:]);"
        " sys.exit('tensorflow' in sys.modules)"
    )
    given = [*flags(world, references=None, dataset=divided), "--dry_run"]
    done = subprocess.run([sys.executable, "-c", code, *given], cwd=ROOT, check=False)
    assert done.returncode == 0
