"""Learning from other captioners: what is learned, from whom, and what a card says of it."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests import captioners
from tests.trainer import toy
from trainer import compact, distillation, loss, precision, runs, task
from trainer.configuration import Configuration
from trainer.distillation import Teachers
from trainer.distribution import Replicas
from trainer.examples import DatasetExamples
from trainer.loop import Trainer
from trainer.model import Captioner
from trainer.noise import Noise
from trainer.packing import lay_out
from trainer.teacher import Teacher, note_pictures
from transforms import captioner, dataset, stored
from transforms.commandline import Exit
from transforms.dataset import Dataset
from transforms.errors import UsageError
from transforms.stored import Stored

SMALL = ["--units=12", "--embedding=8", "--hidden=10", "--attention_units=6", "--batch_images=4"]
BATCH = tf.constant(toy.features(4)), tf.constant(toy.token_ids(4))


def outspoken(seed: int, **changes: object) -> Captioner:
    """Return an untrained model that says different things than others."""
    model = toy.captioner(seed=seed, **changes)
    for variable in model.trainable_variables:
        variable.assign(variable * 3)
    return model


def opinion(model: Captioner) -> np.ndarray:
    """Return a model's probabilities of the next words of the batch's captions, [M, V]."""
    features, ids = BATCH
    packing = lay_out(ids[:, :, 1:] != 0)
    logits = model.teacher_forced(model.prepare(features), ids[:, :, :-1], packing, Noise())
    return tf.nn.softmax(logits).numpy()


def test_what_is_learned_is_the_mean_of_the_teachers_and_the_captions() -> None:
    student, one, other = toy.captioner(), outspoken(1), outspoken(2, decoder="gru", dropout=0.5)
    surprise = -np.log(opinion(student))
    taught = np.mean(np.sum((opinion(one) + opinion(other)) / 2 * surprise, axis=1))
    captions = float(loss.teacher_forced(student, *BATCH, label_smoothing=0.1).mean)
    for share in (0.25, 1.0):
        mixed = loss.teacher_forced(
            student,
            *BATCH,
            label_smoothing=0.1,
            teachers=Teachers([one, other], share, precision.FLOAT32),
        )
        expected = share * taught + (1 - share) * captions
        assert float(mixed.mean) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("half", ["mixed_float16", "mixed_bfloat16"])
def test_teachers_compute_in_the_precision_of_the_training(half: str) -> None:
    student, teacher = toy.captioner(), outspoken(1, decoder="transformer")
    exact = opinion(teacher)
    features, ids = BATCH
    with precision.computing(student, half):
        packing = lay_out(ids[:, :, 1:] != 0)
        rough = Teachers([teacher], 0.5, half).probabilities(features, ids[:, :, :-1], packing)
    assert rough.dtype == tf.float32
    assert np.mean(np.abs(rough.numpy() - exact)) < 0.02
    assert np.any(rough.numpy() != exact)
    np.testing.assert_array_equal(opinion(teacher), exact)


def test_teachers_are_asked_in_compiled_steps_too() -> None:
    padded = toy.captioner(xla=True, dropout=0.0, feature_dropout=0.0)

    def compiled(teachers: Teachers, noise: Noise | None = None) -> float:
        def cost(features: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
            return loss.teacher_forced(padded, features, ids, teachers=teachers, noise=noise).mean

        return float(tf.function(cost, jit_compile=True, autograph=False)(*BATCH))

    teacher = outspoken(1, decoder="transformer")
    teachers = Teachers([teacher], 0.5, precision.FLOAT32)
    plain = loss.teacher_forced(toy.captioner(), *BATCH, teachers=teachers).mean
    unmixed = compiled(teachers)
    assert unmixed == pytest.approx(float(plain), rel=1e-5)
    # XLA may draw other shares than eager code: of mixed images only their effect is known.
    mixing = Teachers([teacher], 0.5, precision.FLOAT32, mixup=0.5)
    mixed = compiled(mixing, Noise(tf.constant([5, 6])))
    assert np.isfinite(mixed) and mixed != pytest.approx(unmixed, rel=1e-4)


def test_no_gradient_reaches_a_teacher() -> None:
    student, teacher = toy.captioner(), outspoken(1)
    teachers = Teachers([teacher], 0.5, precision.FLOAT32)
    with tf.GradientTape() as tape:
        cost = loss.teacher_forced(student, *BATCH, teachers=teachers).mean
    both = [*teacher.trainable_variables, *student.trainable_variables]
    gradients = tape.gradient(cost, [variable.value for variable in both])
    taught = len(teacher.trainable_variables)
    assert all(gradient is None for gradient in gradients[:taught])
    assert all(gradient is not None for gradient in gradients[taught:])


def test_teachers_and_student_see_the_same_mixed_images() -> None:
    seen = []

    class Watched(Teachers):
        def probabilities(self, inputs: tf.Tensor, *rest: Any) -> tf.Tensor:
            seen.append(inputs.numpy())
            return super().probabilities(inputs, *rest)

    features, ids = BATCH
    student, teacher = toy.captioner(dropout=0.0, feature_dropout=0.0), outspoken(1)
    noise = Noise(tf.constant([5, 6]))
    teachers = Watched([teacher], 1.0, precision.FLOAT32, mixup=0.5)
    cost = loss.teacher_forced(student, features, ids, teachers=teachers, noise=noise).mean
    mixed = seen[0]
    assert mixed.shape == features.shape and mixed.dtype == features.dtype.as_numpy_dtype
    before = np.roll(features, 1, axis=0)
    shares = np.sum((mixed - features) * (before - features), (1, 2, 3))
    shares = shares / np.sum((before - features) ** 2, (1, 2, 3))
    assert np.all((shares >= -1e-3) & (shares < 0.501)) and np.any(shares > 0.01)
    unmixed = Teachers([teacher], 1.0, precision.FLOAT32)
    again = loss.teacher_forced(student, tf.constant(mixed), ids, teachers=unmixed).mean
    assert float(cost) == pytest.approx(float(again), rel=1e-4)
    # Nothing is mixed at inference.
    loss.teacher_forced(student, features, ids, teachers=teachers)
    np.testing.assert_array_equal(seen[1], features)


def test_pixels_are_mixed_in_whole_grey_levels() -> None:
    pixels = np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1) * np.full((1, 2, 2, 3), 40, np.uint8)
    teachers = Teachers([], 1.0, precision.FLOAT32, mixup=1.0)
    mixed = teachers.mix(tf.constant(pixels), Noise(tf.constant([1, 2]))).numpy()
    assert mixed.dtype == np.uint8 and np.any(mixed != pixels)
    before = np.roll(pixels, 1, axis=0)
    assert np.all(mixed >= np.minimum(pixels, before))
    assert np.all(mixed <= np.maximum(pixels, before))


def test_a_student_comes_to_think_as_its_teacher(tmp_path: Path) -> None:
    teacher, student = outspoken(1), toy.captioner(decoder="gru", epochs=20, dropout=0.0)

    def distance() -> float:
        """Return how far the student is from the teacher, in nats a word."""
        wanted = opinion(teacher)
        return float(np.mean(np.sum(wanted * np.log(wanted / opinion(student)), axis=1)))

    drawn = distance()
    teachers = Teachers([teacher], 1.0, precision.FLOAT32)
    # Of epochs that score nothing the last is kept.
    Trainer(student, toy.examples(), lambda: 0.0, str(tmp_path), teachers=teachers).run()
    assert distance() < 0.3 * drawn


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return toy.dataset(tmp_path_factory.mktemp("toy") / "data")


@pytest.fixture(scope="module")
def known(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The folders of a captioner and of the compact form of another."""
    folder = tmp_path_factory.mktemp("known")
    for seed, name in enumerate(("first", "second")):
        model = captioners.model(data, captioners.configuration(seed=seed))
        captioners.write(folder / name, data, model)
    compact.write(str(folder / "second"), folder / "small")
    return [str(folder / "first"), str(folder / "small")]


def test_a_run_learns_from_captioners_and_its_card_names_them(
    tmp_path: Path, data: Dataset, known: list[str]
) -> None:
    output = tmp_path / "out"
    flags = [f"--dataset={data.folder}", f"--output={output}", f"--teachers={','.join(known)}"]
    small = [*SMALL, "--epochs=1", "--decoder=gru"]
    assert task.main([*flags, *small, "--mixup=0.5"]) == Exit.DONE
    manifest = captioner.read_manifest(str(output))
    digests = [captioner.digest(captioner.read_manifest(folder)) for folder in known]
    assert manifest["provenance"]["teachers"] == digests
    assert manifest["configuration"]["teachers"] == ["first", "small"]
    card = (output / "MODEL_CARD.md").read_text()
    assert "--mixup=0.5" in card
    assert "--teachers=first,small" in card and str(tmp_path) not in card
    assert f"first (digest {digests[0][:12]}), small (digest {digests[1][:12]})" in card
    alone = tmp_path / "alone"
    flags = [f"--dataset={data.folder}", f"--output={alone}"]
    task.main([*flags, *small])
    losses = [
        json.loads((folder / "history.json").read_text())[0]["loss"] for folder in (output, alone)
    ]
    assert losses[0] != losses[1]
    # A run that was killed is not continued with what somebody made of the captioners since.
    configuration = Configuration.from_dict(manifest["configuration"] | {"teachers": known})
    run = runs.identity(configuration, data, {"teachers": ["other"]})
    with pytest.raises(UsageError, match="learned from another captioner in --teachers"):
        runs.claim(str(output), run)


def test_a_training_s_teachers_mix_images_as_its_flag_says(data: Dataset, known: list[str]) -> None:
    features = BATCH[0]
    for mixup in (0.0, 0.5):
        configuration = captioners.configuration(teachers=tuple(known), mixup=mixup)
        teachers = distillation.load(configuration, data, Replicas())
        assert teachers is not None
        mixed = teachers.mix(features, Noise(tf.constant([5, 6])))
        assert np.any(mixed != features) == bool(mixup)


def test_the_order_of_the_images_is_not_a_teacher_s(data: Dataset, known: list[str]) -> None:
    def first() -> np.ndarray:
        return next(DatasetExamples(data, "train").batches(4, seed=3))[0].numpy()

    configuration = captioners.configuration(seed=5, teachers=tuple(known))
    Captioner(configuration, len(data.vocabulary), data.feature_shape)
    alone = first()
    distillation.load(configuration, data, Replicas())
    np.testing.assert_array_equal(first(), alone)


def test_a_compact_teacher_has_the_weights_of_the_whole_one(
    data: Dataset, known: list[str]
) -> None:
    whole = Teacher(str(Path(known[1]).parent / "second"), data).model
    small = Teacher(known[1], data).model
    for one, other in zip(small.weights, whole.weights, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-3, atol=1e-6)


def test_those_of_other_words_or_features_are_refused(
    tmp_path: Path, data: Dataset, known: list[str]
) -> None:
    configuration = captioners.configuration(teachers=tuple(known))
    other = captioners.dataset(tmp_path / "other", data.encoder["name"], ("a", "dog"))
    with pytest.raises(UsageError, match=r"first: its vocabulary is not that of"):
        distillation.check(configuration, other)
    cut = toy.cut_dataset(tmp_path / "cut")
    with pytest.raises(UsageError, match=r"preprocess both with the same --encoder"):
        distillation.check(configuration, cut)


def test_who_would_hear_fragments_is_told(
    tmp_path: Path, data: Dataset, known: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    thumbnails = Stored(width=64, height=64, quality=85, subsampling="4:2:0")
    teacher = Path(shutil.copytree(known[0], tmp_path / "teacher"))
    manifest = {**captioner.read_manifest(str(teacher)), **stored.described(thumbnails)}
    (teacher / captioner.MANIFEST).write_text(json.dumps(manifest))
    distillation.check(captioners.configuration(teachers=(known[0],)), data)
    assert capsys.readouterr().err == ""
    distillation.check(captioners.configuration(teachers=(str(teacher),)), data)
    told = capsys.readouterr().err
    assert f"{data.folder}: its images were not stored as those of {teacher} were" in told
    assert f"--stored_like={teacher}\n" in told
    # Pictures that were stored as the teacher's are what it knows.
    copy = Path(shutil.copytree(data.folder, tmp_path / "alike"))
    (copy / dataset.MANIFEST).write_text(
        json.dumps({**data.manifest, **stored.described(thumbnails)})
    )
    note_pictures(str(teacher), manifest, dataset.open_dataset(str(copy)))
    assert capsys.readouterr().err == ""


def test_a_teacher_that_is_not_there_is_refused_before_anything_is_written(
    tmp_path: Path, data: Dataset, known: list[str]
) -> None:
    output = tmp_path / "out"
    flags = [f"--dataset={data.folder}", f"--output={output}", *SMALL]
    with pytest.raises(UsageError, match=r"nowhere.*trainer\.task"):
        task.main([*flags, f"--teachers={known[0]},nowhere"])
    with pytest.raises(UsageError, match="--distillation is for --teachers"):
        task.main([*flags, "--distillation=0.3"])
    with pytest.raises(UsageError, match="--mixup is for --teachers"):
        task.main([*flags, "--mixup=0.3"])
    with pytest.raises(UsageError, match="--mixup is for --batch_images above 1"):
        task.main([*flags, f"--teachers={known[0]}", "--mixup=0.3", "--batch_images=1"])
    deaf = [f"--teachers={known[0]}", "--distillation=1", "--label_smoothing=0.2"]
    with pytest.raises(UsageError, match="--label_smoothing is for --distillation below 1"):
        task.main([*flags, *deaf])
    assert not output.exists()
