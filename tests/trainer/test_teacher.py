"""Teachers are loaded whole, and what cannot teach is refused."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests import captioners
from tests.trainer import toy
from trainer import finetuning
from trainer.model import Captioner
from trainer.self_training import __main__ as command
from trainer.self_training.candidates import Writer
from trainer.teacher import Teacher
from transforms.dataset import Dataset
from transforms.errors import UsageError


def written(folder: Path, data: Dataset) -> Captioner:
    """Write a captioner of a data set of a CNN's lower map, whose upper blocks have learned."""
    rest = finetuning.load_rest(data)
    model = Captioner(toy.configuration(), len(data.vocabulary), data.feature_shape, rest)
    for variable in model.finetuned_variables:
        variable.assign_add(tf.ones_like(variable))
    captioners.write(folder, data, model)
    return model


def test_a_teacher_has_the_upper_blocks_as_they_learned(tmp_path: Path) -> None:
    data = toy.cut_dataset(tmp_path / "data", train=4, dev=1)
    model = written(tmp_path / "captioner", data)
    teacher = Teacher(str(tmp_path / "captioner"), data)
    inputs = tf.constant([record.features for record in data.records("train")])
    np.testing.assert_array_equal(teacher.model.encode(inputs), model.encode(inputs))
    for loaded, weight in zip(teacher.model.weights, model.weights, strict=True):
        np.testing.assert_array_equal(loaded.numpy(), weight.numpy())
    options = {"hypotheses": 2, "samples": 2, "max_length": 3, "seed": 0}
    writer = Writer(teacher, data, [[["a", "box"]]], **options)
    records = list(data.records("train"))
    keys = [row.key for row in writer.write(records, 0, lambda images: None)]
    assert keys == [record.key for record in records]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set of a grid, a captioner of it, and a data set of lower blocks."""
    folder = tmp_path_factory.mktemp("teachers")
    data = toy.dataset(folder / "data", train=4, dev=2)
    captioners.write(folder / "captioner", data, captioners.model(data, toy.configuration()))
    (folder / "cut").mkdir()
    toy.cut_dataset(folder / "cut" / "data", train=4, dev=2)
    return folder


@pytest.mark.parametrize(
    ("data", "flags", "message"),
    [
        ("cut/data", ["--captioner={}/captioner"], "preprocess both with the same --encoder"),
        ("data", ["--output=memory://self"], "does not know memory://"),
        ("data", ["--word_vectors=typo.txt"], "typo.txt: No such file"),
    ],
)
def test_what_cannot_teach_is_refused_before_anything_is_written(
    place: Path, tmp_path: Path, data: str, flags: list[str], message: str
) -> None:
    output = tmp_path / "out"
    sets = [f"--dataset={place}/{data}", f"--unlabelled={place}/{data}"]
    with pytest.raises(UsageError, match=message):
        command.main([*sets, f"--output={output}", *(flag.format(place) for flag in flags)])
    assert not output.exists()
