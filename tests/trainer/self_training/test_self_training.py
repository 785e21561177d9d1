"""python -m trainer.self_training as its users run it, on a toy."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from tests.trainer import toy
from trainer import task
from trainer.self_training import __main__ as command
from trainer.self_training import candidates
from transforms import files, records, stored
from transforms.commandline import Exit
from transforms.dataset import open_dataset
from transforms.errors import UsageError

KNOWN, OTHERS = 12, 18
NAMESAKES = 2
TRAINING = [
    "--units=16",
    "--embedding=8",
    "--hidden=16",
    "--attention_units=8",
    "--batch_images=4",
    "--epochs=8",
    "--learning_rate=0.03",
    "--warmup_steps=2",
    "--averaging=0",
    "--dropout=0",
    "--feature_dropout=0",
    "--label_smoothing=0",
]
RULES = ["--keep=0.5", "--max_caption_share=1", "--max_ngram_share=1", "--captions_per_image=2"]


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    return toy.dataset(tmp_path_factory.mktemp("toy") / "labelled", train=KNOWN)


@pytest.fixture(scope="module")
def unlabelled(labelled):
    """More of the toy's images, and among them the labelled ones and copies of its dev images.

    And others that are called as two of dev.
    """
    folder = Path(labelled.folder).parent / "unlabelled"
    data = toy.dataset(folder, train=KNOWN + OTHERS)
    name = "data/train-copies.tfrecord"
    dev = list(labelled.records("dev"))
    copies = [dataclasses.replace(record, key=f"copies/{record.key}") for record in dev]
    copies += [dataclasses.replace(record, sha256=f"{n:064}") for n, record in enumerate(dev[:2])]
    with files.atomic(files.join(data.folder, name)) as stream:
        records.write(stream, records.encode(copies))
    manifest = data.manifest
    manifest["files"][name] = {"bytes": stream.size, "sha256": stream.sha256}
    manifest["splits"]["train"]["files"].append(name)
    manifest["splits"]["train"]["images"] += len(copies)
    files.write_json(files.join(data.folder, "dataset.json"), manifest)
    return open_dataset(data.folder)


def flags(labelled, unlabelled, output, *more):
    return [
        f"--dataset={labelled.folder}",
        f"--unlabelled={unlabelled.folder}",
        f"--output={output}",
        *RULES,
        *TRAINING,
        *more,
    ]


@pytest.fixture(scope="module")
def output(labelled, unlabelled, tmp_path_factory):
    folder = tmp_path_factory.mktemp("self") / "out"
    assert command.main(flags(labelled, unlabelled, folder)) is Exit.DONE
    return folder


def test_mixes_human_and_marked_generated_captions(output, labelled, unlabelled):
    mixed = open_dataset(output / "round-1" / "dataset")
    stored = list(mixed.records("train"))
    human = [record for record in stored if not record.generated]
    generated = [record for record in stored if record.generated]
    assert {record.key: record.captions for record in human} == {
        record.key: record.captions for record in labelled.records("train")
    }
    # Neither labelled images nor copies of dev images are among them.
    fresh = {f"train/{n}.jpg" for n in range(KNOWN, KNOWN + OTHERS)}
    fresh |= {f"unlabelled/dev/{n}.jpg" for n in range(NAMESAKES)}
    assert {record.key for record in generated} < fresh
    for record in generated:
        assert 1 <= len(record.captions) <= 2
        assert all(record.generated)
        # The toy is easy: what the captioner writes is right.
        number = int(record.key.rsplit("/")[-1].removesuffix(".jpg"))
        assert {("blue", "red")[number % 2 == 0] in text for text in record.captions} == {True}
    assert [r.key for r in mixed.records("dev")] == [r.key for r in labelled.records("dev")]

    facts = mixed.manifest["generated"]
    books = facts["books"]
    assert books["listed"] == unlabelled.images("train") == 34 + NAMESAKES
    assert books["known"] == KNOWN + 4
    assert books["kept"] == len(generated) == facts["images"] == (OTHERS + NAMESAKES) / 2
    left_out = ("unsure", "unfinished", "repeated", "beyond_share")
    assert sum(books[name] for name in left_out) == (OTHERS + NAMESAKES) / 2
    assert mixed.images("train") == KNOWN + len(generated)
    assert mixed.captions("train") == sum(len(record.captions) for record in stored)
    assert mixed.generated_weight == 0.5


def test_trains_on_the_mix_and_says_what_each_captioner_scored(output):
    result = json.loads((output / "self_training.json").read_text())
    teacher, student = result["captioners"]
    assert teacher["captioner"] == f"{output}/teacher"
    assert student["captioner"] == f"{output}/round-1/captioner"
    assert student["trained_on"]["images"] == KNOWN + (OTHERS + NAMESAKES) / 2
    card = (output / "round-1" / "captioner" / "MODEL_CARD.md").read_text()
    assert "of the captions were written by another captioner" in card
    # What it learned beside them is what its teacher thinks of each word.
    learned = json.loads((output / "round-1" / "captioner" / "captioner.json").read_text())
    assert learned["configuration"]["teachers"] == ["teacher"]
    assert learned["configuration"]["distillation"] == 0.8
    alone = json.loads((output / "teacher" / "captioner.json").read_text())
    assert alone["configuration"]["teachers"] == []


def test_a_killed_run_continues_to_the_same_bytes(
    output, labelled, unlabelled, tmp_path, monkeypatch
):
    save, saved = candidates.save, []

    def die(path, rows):
        if saved:
            raise KeyboardInterrupt
        saved.append(path)
        save(path, rows)

    again = flags(labelled, unlabelled, tmp_path / "out", f"--captioner={output}/teacher")
    monkeypatch.setattr(candidates, "save", die)
    with pytest.raises(KeyboardInterrupt):
        command.main(again)
    monkeypatch.setattr(candidates, "save", save)
    before = [path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.jsonl")]
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    del run["configuration"]["xla"]  # An older version did not know it.
    (tmp_path / "out" / "run.json").write_text(json.dumps(run))

    taught = []

    def train(arguments):
        """Take the student that the undisturbed run trained."""
        given = vars(task.parser().parse_args(arguments))
        assert given["dataset"] == f"{tmp_path}/out/round-1/dataset"
        taught.append(given.get("teachers", ()))
        shutil.copytree(output / "round-1" / "captioner", given["output"])

    monkeypatch.setattr(task, "main", train)
    command.main(again)
    after = [path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.jsonl")]
    assert before[0] in after
    assert len(after) == 3
    manifests = [
        json.loads((folder / "round-1" / "dataset" / "dataset.json").read_text())
        for folder in (output, tmp_path / "out")
    ]
    assert manifests[0] == manifests[1]
    with pytest.raises(UsageError, match="another keep"):
        command.main([*again, "--keep=0.7"])
    del run["distillation"]  # Nor this, and its students had none.
    (tmp_path / "out" / "run.json").write_text(json.dumps(run))
    with pytest.raises(UsageError, match="another distillation"):
        command.main(again)
    shutil.rmtree(tmp_path / "out" / "round-1" / "captioner")
    command.main([*again, "--distillation=0"])
    assert taught == [(f"{output}/teacher",), ()]


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--min_confidence=1", "lower --min_confidence"),
        ("--scst_epochs=1", "wants people's captions alone"),
        ("--feed_forward=9", "is for --decoder=transformer"),
        ("--weight=0", "leaves the generated captions out"),
        ("--unlabelled={toy_without_features}", "encoder's digest is None"),
    ],
)
def test_wrong_use_is_one_line(output, labelled, unlabelled, tmp_path, flag, message):
    if "toy_" in flag:
        other = toy.dataset(tmp_path / "pixels", encoder="none", train=2, dev=1)
        flag = f"--unlabelled={other.folder}"
    with pytest.raises(UsageError, match=message):
        command.main(
            flags(labelled, unlabelled, tmp_path / "out", f"--captioner={output}/teacher", flag)
        )


def test_a_teacher_s_word_vectors_are_left_where_they_were(
    output, labelled, unlabelled, tmp_path, capsys
):
    teacher = tmp_path / "teacher"
    shutil.copytree(output / "teacher", teacher)
    manifest = json.loads((teacher / "captioner.json").read_text())
    manifest["configuration"]["word_vectors"] = "glove.txt"
    (teacher / "captioner.json").write_text(json.dumps(manifest))
    # What is wrong is said after the settings were taken over.
    wrong = flags(labelled, unlabelled, tmp_path / "out", f"--captioner={teacher}", "--heads=2")
    with pytest.raises(UsageError, match="--heads is for --decoder=transformer"):
        command.main(wrong)
    assert "began with glove.txt; students do only where --word_vectors" in capsys.readouterr().err
    with pytest.raises(UsageError, match=r"nowhere\.txt"):
        command.main([*wrong[:-1], "--word_vectors=nowhere.txt"])


def test_a_teacher_of_other_pictures_is_noted(output, labelled, unlabelled, tmp_path, capsys):
    teacher = tmp_path / "teacher"
    shutil.copytree(output / "teacher", teacher)
    manifest = json.loads((teacher / "captioner.json").read_text())
    thumbnails = stored.Stored(width=64, height=64, quality=85, subsampling="4:2:0")
    manifest.update(stored.described(thumbnails))
    (teacher / "captioner.json").write_text(json.dumps(manifest))
    for folder, told in ((teacher, True), (output / "teacher", False)):
        wrong = flags(labelled, unlabelled, tmp_path / "out", f"--captioner={folder}", "--heads=2")
        with pytest.raises(UsageError, match="--heads is for --decoder=transformer"):
            command.main(wrong)
        assert (f"again with --stored_like={folder}\n" in capsys.readouterr().err) == told


def test_a_cluster_is_refused_before_the_images_are_captioned(
    labelled, unlabelled, tmp_path, monkeypatch
):
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["localhost:1"]}}')
    with pytest.raises(UsageError, match="runs on one machine"):
        command.main(flags(labelled, unlabelled, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_captions_of_a_captioner_are_not_taken_for_people_s(unlabelled, tmp_path):
    mixed = toy.dataset(tmp_path / "mixed", train=2, dev=2)
    marked = {**mixed.manifest, "generated": {"weight": 0.5, "images": 1, "captions": 3}}
    files.write_json(files.join(mixed.folder, "dataset.json"), marked)
    with pytest.raises(UsageError, match="has captions that a captioner wrote"):
        command.main(flags(mixed, unlabelled, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_teacher_that_no_flag_can_name_is_refused_before_work_starts(
    labelled, unlabelled, tmp_path
):
    wrong = flags(labelled, unlabelled, tmp_path / "a,b")
    with pytest.raises(UsageError, match=r"a,b: .* add --distillation=0"):
        command.main(wrong)
    assert not (tmp_path / "a,b").exists()


@pytest.mark.parametrize("content", ["{", "[]", '{"configuration": 1}'])
def test_a_damaged_file_of_the_run_is_named(labelled, unlabelled, tmp_path, content):
    run = tmp_path / "out" / "run.json"
    run.parent.mkdir()
    run.write_text(content)
    with pytest.raises(UsageError, match=rf"{run}: this .*: delete {run.parent}$"):
        command.main(flags(labelled, unlabelled, run.parent))
