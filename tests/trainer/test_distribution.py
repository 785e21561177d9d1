"""Trainings by several replicas give the result of one."""

import json
import os
import socket
import subprocess
import sys

import pytest

from tests import captioners
from tests.trainer import toy
from trainer import finetuning
from trainer.model import Captioner

FLAGS = [
    *("--units=16", "--embedding=8", "--hidden=16", "--batch_images=5"),
    *("--epochs=2", "--scst_epochs=1", "--learning_rate=0.01", "--warmup_steps=0"),
    "--scst_learning_rate=0.01",
    *("--dropout=0", "--feature_dropout=0", "--averaging=0.5"),
    *("--cnn_learning_rate=0.1", "--finetune_from_epoch=1", "--normalization=batch"),
]
TWO_DEVICES = """
import sys
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from trainer import distribution
two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
"""
# Each replica draws samples of its own: to be compared, all draw the same five of every image.
TASK = """
import sys
import tensorflow as tf
from trainer import self_critical, task
rows = [[4, 8, 5, 9, 2], [4, 6, 10, 2, 0], [4, 5, 9, 2, 0], [4, 7, 10, 2, 0], [9, 2, 0, 0, 0]]
def sample(captioner, memory, *, max_length, **_):
    images = tf.shape(tf.nest.flatten(memory)[0])[0]
    return tf.tile(tf.pad([rows], [[0, 0], [0, 0], [0, max_length - 4]]), [images, 1, 1])
self_critical.sample = sample
"""
WHOLE = f"{TASK}task.main(sys.argv[1:])"
# What is compared is the history: the graph of the captioner takes seconds.
BRIEF = f"""{TASK}
from trainer import export
from transforms import files
def write(output, *, history, **_):
    files.write_json(f"{{output}}/history.json", history)
export.export = write
task.main(sys.argv[1:])
"""
MIRRORED = f"{TWO_DEVICES}distribution.start = lambda name: distribution.Replicas(two)"
# Five images for two devices: a repeated one must not count. Losses do not depend on the moving
# statistics, only captions do.
NORMALISED = (
    TWO_DEVICES
    + """
import numpy as np
from trainer.cnn import ConvolutionalEncoder
from trainer.noise import Noise
pixels = tf.constant(np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3), np.uint8))
def encode(replicas):
    with replicas.scope():
        tf.keras.utils.set_random_seed(0)
        cnn = ConvolutionalEncoder((4,), 4)
    def encode_share(pixels):
        rows = tf.shape(pixels)[0]
        (share,) = replicas.share(pixels)
        noise = Noise(tf.constant([0, 0]), real=replicas.real(rows))
        return replicas.join(cnn(share, noise=noise), rows)
    grid = tf.function(lambda: replicas.run(encode_share, pixels))()
    return grid, [two.experimental_local_results(v.value) for v in cnn.non_trainable_weights]
one, alone = encode(distribution.Replicas())
both, shared = encode(distribution.Replicas(two))
np.testing.assert_allclose(both, one, atol=1e-5)
for copies, (expected,) in zip(shared, alone, strict=True):
    assert len(copies) == 2
    for copy in copies:
        np.testing.assert_allclose(copy.numpy(), expected.numpy(), rtol=1e-5, atol=1e-7)
"""
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy") / "data"
    dataset = toy.cut_dataset(folder, train=11)
    rest, words = finetuning.load_rest(dataset), len(dataset.vocabulary)
    teacher = Captioner(toy.configuration(), words, dataset.feature_shape, rest)
    captioners.write(folder.parent / "teacher", dataset, teacher)
    vectors = (f"{word} {' '.join([str(n)] * 8)}\n" for n, word in enumerate(toy.WORDS))
    (folder.parent / "vectors.txt").write_text("".join(vectors))
    return folder


def launch(command, data, output, **environment):
    program, flags = command[:2], command[2:]
    command = [sys.executable, *program, f"--dataset={data}", f"--output={output}", *FLAGS]
    command += [f"--word_vectors={data.parent}/vectors.txt", f"--teachers={data.parent}/teacher"]
    command += flags
    return subprocess.Popen(
        command, env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True
    )


def history(process, output):
    _, errors = process.communicate(timeout=500)
    assert process.returncode == 0, errors
    return json.loads((output / "history.json").read_text())


@pytest.fixture(scope="module")
def alone(data, tmp_path_factory):
    output = tmp_path_factory.mktemp("alone") / "captioner"
    return history(launch(["-c", BRIEF], data, output), output)


def assert_alike(rows, alone):
    assert [row["phase"] for row in rows] == [row["phase"] for row in alone]
    for row, expected in zip(rows, alone, strict=True):
        # A loss shows the gradients of the steps before it.
        assert row["loss"] == pytest.approx(expected["loss"], rel=1e-4, abs=1e-5)
        assert row["dev_cider"] == pytest.approx(expected["dev_cider"], abs=0.05)
    assert rows[2]["reward"] == pytest.approx(alone[2]["reward"])
    assert rows[2]["reward"] > 0


def test_two_devices_train_like_one(data, alone, tmp_path):
    output = tmp_path / "captioner"
    assert_alike(history(launch(["-c", MIRRORED + WHOLE], data, output), output), alone)


def test_two_devices_normalise_by_the_whole_batch():
    subprocess.run([sys.executable, "-c", NORMALISED], check=True)


def test_two_devices_train_alike_compiled(data, alone, tmp_path):
    # With a last batch of one image, and so a device without any.
    output = tmp_path / "captioner"
    compared = ["--decoder=transformer", "--normalization=none", "--teachers="]
    run = launch(["-c", MIRRORED + BRIEF, "--xla", *compared], data, output)
    reference = launch(["-c", BRIEF, *compared], data, tmp_path / "alone")
    assert_alike(history(run, output), history(reference, tmp_path / "alone"))


def test_two_machines_train_like_one_and_the_chief_writes(data, alone, tmp_path):
    output = tmp_path / "captioner"
    with socket.socket() as first, socket.socket() as second:
        first.bind(("localhost", 0))
        second.bind(("localhost", 0))
        workers = [f"localhost:{each.getsockname()[1]}" for each in (first, second)]
    processes = []
    for index in range(2):
        place = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        command = ["-c", WHOLE, "--strategy=multi_worker"]
        processes.append(launch(command, data, output, TF_CONFIG=json.dumps(place)))
    try:
        assert_alike(history(processes[0], output), alone)
        _, errors = processes[1].communicate(timeout=100)
        assert processes[1].returncode == 0, errors
    finally:
        for process in processes:
            process.kill()
