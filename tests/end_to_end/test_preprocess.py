"""pipeline.preprocess as its users run it."""

import argparse
import dataclasses
import io
import itertools
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline import preprocess
from tests.faults.jobs import tree
from transforms import bundled, encoders, files, images, sample, stored, text
from transforms.commandline import Exit
from transforms.dataset import open_dataset
from transforms.errors import UsageError
from transforms.records import Record
from transforms.stored import Form, Stored

COUNT = 40


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built-in sample, with the faults that real folders have."""
    folder = tmp_path_factory.mktemp("scenes")
    sample.write(folder, COUNT)
    pictures = folder / "images"
    names = sorted(path.name for path in pictures.iterdir())
    (pictures / "broken.jpg").write_bytes((pictures / names[0]).read_bytes()[:2000])
    (pictures / "empty.jpg").write_bytes(b"")
    (pictures / "uncaptioned.jpg").write_bytes((pictures / names[1]).read_bytes() + b"x")
    # The bytes of a train and of a dev image under second names, in the train list.
    dev = (folder / "dev.txt").read_text().split()[0]
    shutil.copy(pictures / names[2], pictures / "copy.jpg")
    shutil.copy(pictures / dev, pictures / "leak.jpg")
    with (folder / "captions.token.txt").open("a") as stream:
        for name in ("broken", "empty", "copy", "leak", "missing"):
            stream.writelines(f"{name}.jpg#{i}\tA caption of {name}.\n" for i in range(5))
    with (folder / "captions.token.txt").open("ab") as stream:
        stream.write(b"no image\ncopy.jpg#5\tA caf\xe9.\n\xe9\n")
    with (folder / "train.txt").open("a") as stream:
        stream.writelines(
            f"{name}.jpg\n" for name in ("broken", "empty", "copy", "leak", "missing")
        )
    return folder


def flags(scenes: Path, output: Path, *more: str) -> list[str]:
    return [
        f"--images={scenes}/images",
        f"--captions={scenes}/captions.token.txt",
        *(f"--{split}_list={scenes}/{split}.txt" for split in ("train", "dev", "test")),
        f"--output={output}",
        "--min_count=2",
        "--unit_size=10",
        *more,
    ]


@pytest.fixture(scope="module")
def output(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("preprocessed") / "dataset"
    assert preprocess.main(flags(scenes, folder)) is Exit.DONE
    return folder


def test_every_image_has_an_outcome(output: Path) -> None:
    manifest = json.loads((output / "dataset.json").read_text())
    assert manifest["books"] == {
        "images": {"listed": COUNT + 5, "done": COUNT, "rejected": 3, "duplicates": 2},
        "captions": {
            "listed": 5 * COUNT + 28,
            "done": 5 * COUNT + 5,
            "rejected": 18,
            "duplicates": 5,
        },
        "missing": 1,
    }
    rejects = {
        row["key"].rsplit("/", 1)[-1]: row["code"]
        for row in pq.read_table(output / "rejects.parquet").to_pylist()
    }
    assert rejects == {
        **{f"captions.token.txt:{5 * COUNT + n}": "caption_malformed" for n in (26, 27, 28)},
        "broken.jpg": "image_truncated",
        "empty.jpg": "image_empty",
        "uncaptioned.jpg": "caption_missing",
        "missing.jpg": "image_missing",
    }


def test_how_small_images_were_stored_is_known_to_captioners(
    scenes: Path, output: Path, tmp_path: Path
) -> None:
    manifest = open_dataset(output).manifest
    train = (scenes / "train.txt").read_text().split()[0]
    with Image.open(scenes / "images" / train) as image:
        assert (manifest["pictures"]["width"], manifest["pictures"]["height"]) == image.size
        again = io.BytesIO()
        found = {name: manifest["pictures"][name] for name in ("quality", "subsampling")}
        image.save(again, "JPEG", **found)
        assert Image.open(again).quantization[0] == image.quantization[0]
    # Of lossless images there is nothing to know.
    shutil.copytree(scenes, tmp_path / "lossless")
    for path in (tmp_path / "lossless" / "images").glob("scene*.jpg"):
        with Image.open(path) as image:
            image.save(path, "PNG")
    assert preprocess.main(flags(tmp_path / "lossless", tmp_path / "out")) is Exit.DONE
    assert "pictures" not in open_dataset(tmp_path / "out").manifest


def test_images_are_stored_as_those_of_another_data_set(
    scenes: Path, output: Path, tmp_path: Path
) -> None:
    # Originals of what the first data set has small copies of.
    names = (scenes / "train.txt").read_text().split()[:3]
    (tmp_path / "large").mkdir()
    for name in names:
        with Image.open(scenes / "images" / name) as image:
            image.resize((640, 480)).save(tmp_path / "large" / f"{name}.png")
    more = ["--captions=none", f"--stored_like={output}", f"--output={tmp_path / 'out'}"]
    assert preprocess.main([f"--images={tmp_path / 'large'}", *more]) is Exit.DONE
    made = open_dataset(tmp_path / "out")
    like = stored.of(open_dataset(output).manifest)
    assert like is not None
    assert stored.of(made.manifest) == like
    assert made.manifest["configuration"]["like"] == dataclasses.asdict(like)
    encoder = encoders.load("efficientnet-lite0")
    for record in made.records("train"):
        file = (tmp_path / "large" / record.key).read_bytes()
        pixels = images.decode(file, Form((224, 224), like)).pixels
        wanted = encoder.encode(pixels[None])[0].astype(np.float16)
        np.testing.assert_allclose(record.features, wanted, atol=2e-2)
        plain = encoder.encode(images.decode(file, Form((224, 224))).pixels[None])[0]
        assert np.abs(plain - wanted).max() > 0.1
    # A captioner's folder will do as well, and what has nothing to imitate will not.
    shipped, large = bundled.captioner("en"), tmp_path / "large"
    found = preprocess.resolve(parsed(f"--images={large}", f"--stored_like={shipped}"))
    assert found.like == Stored(224, 224, 85, "4:2:0")
    for folder, reason in (
        (tmp_path / "nowhere", "nowhere: there is no dataset.json"),
        (lossless(output, tmp_path), "its images were not stored in one way"),
    ):
        with pytest.raises(UsageError, match=reason):
            preprocess.resolve(parsed(f"--images={large}", f"--stored_like={folder}"))


def parsed(*more: str) -> argparse.Namespace:
    return preprocess.build_parser().parse_args(["--captions=none", *more])


def lossless(output: Path, place: Path) -> Path:
    """Return a data set that does not say how its images were stored."""
    made = shutil.copytree(output, place / "lossless-data")
    manifest = json.loads((made / "dataset.json").read_text())
    del manifest["pictures"]
    (made / "dataset.json").write_text(json.dumps(manifest))
    return made


def test_pictures_of_two_kinds_are_seen_in_whatever_order_they_are_read(tmp_path: Path) -> None:
    # Images of a compressed archive are read after all others.
    (tmp_path / "small").mkdir()
    large = io.BytesIO()
    with tarfile.open(fileobj=large, mode="w:gz") as archive:
        for number in range(40):
            picture = Image.effect_noise((64, 64), number + 1).convert("RGB")
            picture.save(tmp_path / "small" / f"{number}.jpg", quality=85)
            file = io.BytesIO()
            picture.resize((320, 240)).save(file, "JPEG", quality=85)
            member = tarfile.TarInfo(f"{number}.jpg")
            member.size = len(file.getvalue())
            archive.addfile(member, io.BytesIO(file.getvalue()))
    (tmp_path / "large.tar.gz").write_bytes(large.getvalue())
    small = f"--images={tmp_path / 'small'}"
    more = ["--captions=none", "--encoder=none", "--image_size=64"]
    assert preprocess.main([small, *more, f"--output={tmp_path / 'one'}"]) is Exit.DONE
    assert open_dataset(tmp_path / "one").manifest["pictures"]["width"] == 64
    both = [small, f"--images={tmp_path / 'large.tar.gz'}", f"--output={tmp_path / 'two'}"]
    assert preprocess.main([*more, *both]) is Exit.DONE
    assert "pictures" not in open_dataset(tmp_path / "two").manifest


def test_copies_stay_out_of_other_splits(scenes: Path, output: Path) -> None:
    dev = (scenes / "dev.txt").read_text().split()[0]
    rows = pq.read_table(output / "duplicates.parquet").to_pylist()
    leak = next(row for row in rows if row["key"] == "leak.jpg")
    assert (leak["split"], leak["original_split"], leak["original_key"]) == ("train", "dev", dev)
    dataset = open_dataset(output)
    captions = {r.key: r.captions for split in ("train", "dev") for r in dataset.records(split)}
    assert len(captions[dev]) == 5
    assert "A caption of copy." in captions["copy.jpg"]
    assert len(captions["copy.jpg"]) == 10


def test_records_hold_what_the_image_and_its_captions_give(scenes: Path, output: Path) -> None:
    dataset = open_dataset(output)
    record = next(iter(dataset.records("dev")))
    encoder = encoders.load("efficientnet-lite0", features="grid")
    data = (scenes / "images" / record.key).read_bytes()
    pixels = images.decode(data, Form(encoder.input_size)).pixels
    expected = encoder.encode(pixels[None])[0].astype("float16")
    assert record.features is not None
    np.testing.assert_array_equal(record.features, expected)
    for caption, ids in zip(record.captions, record.token_ids, strict=True):
        tokens = text.tokenize(caption, "words")
        words = [word if word in dataset.vocabulary.tokens else "<unk>" for word in tokens]
        assert [dataset.vocabulary.tokens[i] for i in ids] == ["<start>", *words, "<end>"]


def test_the_vocabulary_is_of_the_train_split_alone(output: Path) -> None:
    dataset = open_dataset(output)
    counts = Counter(
        word
        for record in dataset.records("train")
        for caption in record.captions
        for word in text.tokenize(caption, "words")
    )
    # Of the rejected train image the captions count too: they are known before it is decoded.
    counts.update(["a", "caption", "of", "broken"] * 5 + ["a", "caption", "of", "empty"] * 5)
    assert set(dataset.vocabulary.tokens[4:]) == {w for w, count in counts.items() if count >= 2}


def test_tensorflow_sees_the_same(output: Path) -> None:
    dataset = open_dataset(output)
    for record, example in zip(dataset.records("train"), dataset.tf_dataset("train"), strict=True):
        assert example["key"].numpy().decode() == record.key
        np.testing.assert_array_equal(example["features"].numpy(), record.features)
        ids = [tuple(row[row != 0]) for row in example["token_ids"].numpy()]
        assert ids == list(record.token_ids)


def test_a_rerun_and_more_workers_write_the_same_bytes(
    scenes: Path, output: Path, tmp_path: Path
) -> None:
    before = tree(output)
    assert preprocess.main(flags(scenes, output)) is Exit.DONE
    assert tree(output) == before
    more = ("--direct_num_workers=2", "--direct_running_mode=multi_processing")
    assert preprocess.main(flags(scenes, tmp_path / "two", *more)) is Exit.DONE
    assert tree(tmp_path / "two") == before


def test_a_lost_file_is_made_again_and_stale_ones_go(
    scenes: Path, output: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "dataset"
    shutil.copytree(output, copy)
    next((copy / "data").iterdir()).unlink()
    (copy / "data" / "train-0.tfrecord").write_bytes(b"stale")
    (copy / "data" / f"{files.TEMPORARY_PREFIX}0").write_bytes(b"torn")
    with pytest.raises(UsageError, match="is missing"):
        open_dataset(copy)
    assert preprocess.main(flags(scenes, copy)) is Exit.DONE
    assert tree(copy) == tree(output)


def test_too_many_rejects_have_a_status_of_their_own(
    scenes: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        preprocess.main(flags(scenes, output, "--max_reject_fraction=0.07"))
        is Exit.TOO_MANY_REJECTS
    )
    printed = capsys.readouterr().err
    assert "preprocess: 205 captions done, 18 rejected, 5 duplicates, of 228 listed" in printed
    assert "captions.token.txt:227: not UTF-8 text: save the file as UTF-8" in printed
    for share in ("8.7% of the images", "7.9% of the captions"):
        assert f"preprocess: {share} were rejected" in printed


def test_images_can_be_stored_instead_of_features(scenes: Path, tmp_path: Path) -> None:
    more = ("--encoder=none", "--image_size=64")
    assert preprocess.main(flags(scenes, tmp_path / "d", *more)) is Exit.DONE
    dataset = open_dataset(tmp_path / "d")
    record = next(dataset.records("train"))
    assert record.features is None
    assert record.image is not None
    assert images.decode(record.image).pixels.shape == (64, 64, 3)
    assert dataset.stores_images


def test_views_are_records_of_the_train_split_alone(scenes: Path, tmp_path: Path) -> None:
    more = ("--encoder=none", "--image_size=64", "--views=flip", "--views=crop,crop2")
    assert preprocess.main(flags(scenes, tmp_path / "d", *more)) is Exit.DONE
    dataset = open_dataset(tmp_path / "d")
    records = list(dataset.records("train"))
    assert dataset.examples("train") == len(records) == 4 * dataset.images("train")
    assert dataset.examples("dev") == dataset.images("dev")
    assert not any(record.view for record in dataset.records("dev"))
    assert {tuple(sorted(v)) for v in _by_key(records, "view").values()} == {
        ("", "crop", "crop2", "flip")
    }
    assert {len(set(captions)) for captions in _by_key(records, "captions").values()} == {1}
    # A picture's views are not next to each other, and so not in one batch after another.
    assert all(one.key != other.key for one, other in itertools.pairwise(records))
    name = records[0].key
    pixels = [
        images.decode(record.image).pixels.astype(int)
        for record in records
        if record.key == name and record.view in ("", "flip") and record.image is not None
    ]
    assert np.abs(pixels[0][:, ::-1] - pixels[1]).mean() < 3  # JPEG's error
    books = dataset.manifest["books"]["images"]
    assert books["done"] == sum(dataset.images(split) for split in ("train", "dev", "test"))
    with pytest.raises(UsageError, match="view 'upside_down' is unknown"):
        preprocess.main(flags(scenes, tmp_path / "e", "--views=upside_down"))


def _by_key(records: list[Record], field: str) -> dict[str, list[Any]]:
    values: dict[str, list[Any]] = {}
    for record in records:
        values.setdefault(record.key, []).append(getattr(record, field))
    return values


def test_a_dry_run_prints_the_plan_and_writes_nothing(
    scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert preprocess.main(flags(scenes, tmp_path / "d", "--dry_run")) is Exit.DONE
    printed = capsys.readouterr().out
    assert "duplicates: 2" in printed
    assert "rejects, image_missing: 1" in printed
    assert not (tmp_path / "d").exists()


def test_folders_whose_names_are_no_text_are_read(
    scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(scenes, tmp_path / os.fsdecode(b"B\xfccher")))
    (tmp_path / "more").mkdir()
    shutil.copy(folder / "images" / "uncaptioned.jpg", tmp_path / "more")
    more = [f"--images={tmp_path}/more", "--encoder=none", "--dry_run"]
    assert preprocess.main([*flags(folder, folder / "d"), *more]) is Exit.DONE
    printed = capsys.readouterr().out
    assert rf"output: {tmp_path}/B\xfccher/d" in printed
    assert "rejects, image_missing: 1" in printed


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ("--images=nowhere", "/nowhere: there is no folder /"),
        ("--captions=nowhere.txt", "nowhere.txt"),
        ("--captions_format=coco", "captions.token.txt"),
        ("--captions_format=latex", "--captions_format=latex: use auto or one of"),
        ("--dev_list=nowhere.txt", "nowhere.txt: the list cannot be read (No such file"),
        ("--encoder=resnext9000", "resnext9000"),
        ("--encoder_weights=nowhere.pth", "nowhere.pth"),
        ("--dev_fraction=0.7", "leave nothing for train"),
        ("--features=both", "has no features 'both': use grid, pooled, block0"),
        ("--epochs=3", "unknown flag --epochs"),
        ("--min_count=3", "min_count was 2, now 3"),
    ],
)
def test_wrong_use_is_one_line_before_work(
    scenes: Path, output: Path, changed: str, message: str
) -> None:
    before = tree(output)
    extra = ["--test_fraction=0.5"] if "dev_fraction" in changed else []
    base = [f for f in flags(scenes, output) if not f.startswith(changed.split("=")[0] + "=")]
    with pytest.raises(UsageError) as caught:
        preprocess.main([*base, changed, *extra])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert tree(output) == before


def test_nothing_left_is_wrong_use(scenes: Path, tmp_path: Path) -> None:
    pictures = tmp_path / "images"
    pictures.mkdir()
    (pictures / "broken.jpg").write_bytes(b"not an image")
    (tmp_path / "captions.csv").write_text("image,caption\nbroken.jpg,A broken picture\n")
    command = [sys.executable, "-m", "pipeline.preprocess", f"--images={pictures}"]
    command += [f"--captions={tmp_path}/captions.csv", f"--output={tmp_path}/d", "--min_count=1"]
    command += ["--dev_fraction=0", "--test_fraction=0", "--encoder=none"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == Exit.WRONG_USAGE
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: no image is left: all of the 1 images were rejected")
    assert "image_not_an_image" in last
    assert "preprocess: no image is in the dev split" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_that_fails_leaves_a_finished_data_set_as_it_is(scenes: Path, tmp_path: Path) -> None:
    pictures, out = tmp_path / "images", tmp_path / "d"
    pictures.mkdir()
    picture = next((scenes / "images").glob("scene-*.jpg")).read_bytes()
    (pictures / "a.jpg").write_bytes(picture)
    (tmp_path / "captions.csv").write_text("image,caption\na.jpg,A picture\n")
    command = [f"--images={pictures}", f"--captions={tmp_path}/captions.csv", f"--output={out}"]
    command += ["--dev_fraction=0", "--test_fraction=0", "--encoder=none", "--min_count=1"]
    assert preprocess.main(command) is Exit.DONE
    (pictures / "a.jpg").write_bytes(b"not an image")
    with pytest.raises(UsageError, match=rf"{out}/rejects\.failed\.parquet has a line on each"):
        preprocess.main(command)
    assert [record.key for record in open_dataset(out).records("train")] == ["a.jpg"]
    (row,) = pq.read_table(out / "rejects.failed.parquet").to_pylist()
    assert row["code"] == "image_not_an_image"
    (pictures / "a.jpg").write_bytes(picture)
    assert preprocess.main(command) is Exit.DONE
    assert not (out / "rejects.failed.parquet").exists()
    assert pq.read_table(out / "rejects.parquet").num_rows == 0


def test_images_without_captions_make_a_data_set_to_be_captioned(
    scenes: Path, tmp_path: Path
) -> None:
    where = [f"--images={scenes}/images", f"--output={tmp_path / 'alone'}"]
    assert preprocess.main([*where, "--captions=none", "--encoder=none"]) is Exit.DONE
    data = open_dataset(tmp_path / "alone")
    books = data.manifest["books"]["images"]
    assert books == {"listed": COUNT + 5, "done": COUNT + 1, "rejected": 2, "duplicates": 2}
    assert [data.images(split) for split in ("train", "dev", "test")] == [COUNT + 1, 0, 0]
    assert {record.captions for record in data.records("train")} == {()}
    assert len(data.vocabulary) == len(text.RESERVED)
    with pytest.raises(UsageError, match="--captions=none"):
        preprocess.main(where)
