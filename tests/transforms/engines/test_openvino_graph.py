"""Models of OpenVINO that are rewritten: the same results, computed in another way."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import openvino
import pytest
from openvino import opset13 as ops

from transforms.engines import openvino_graph

WORDS, DEPTH, GATES = 7, 5, 6
TOKENS = np.array([3, 0, 6, 3])
_random = np.random.default_rng(0)
VECTORS = _random.normal(size=(WORDS, DEPTH)).astype(np.float32)
MATRIX = _random.normal(size=(DEPTH, GATES)).astype(np.float32)


def compute(model: openvino.Model, inputs: np.ndarray) -> list[np.ndarray]:
    """Run a model with one input."""
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    return list(openvino.Core().compile_model(model, "CPU", settings)(inputs).values())


def kinds(model: openvino.Model) -> list[str]:
    return [each.get_type_name() for each in model.get_ordered_ops()]


def reading(*, twice: bool = False) -> openvino.Model:
    """Return a model that multiplies the vectors of tokens with a matrix, for tanh."""
    tokens = ops.parameter([-1], np.int64)
    vectors = ops.gather(ops.constant(VECTORS), tokens, np.int64(0))
    results = [ops.tanh(ops.matmul(vectors, MATRIX, False, False))]
    if twice:
        results.append(ops.relu(vectors))
    return openvino.Model(results, [tokens], "reading")


def test_words_are_multiplied_once_for_all() -> None:
    wanted = compute(reading(), TOKENS)
    model = reading()
    openvino_graph.rewrite(model)
    assert "MatMul" not in kinds(model)
    np.testing.assert_allclose(compute(model, TOKENS)[0], wanted[0], atol=1e-6)
    np.testing.assert_allclose(wanted[0], np.tanh(VECTORS[TOKENS] @ MATRIX), atol=1e-6)


def test_vectors_with_another_reader_stay() -> None:
    model = reading(twice=True)
    openvino_graph.rewrite(model)
    product, vectors = compute(model, TOKENS)
    np.testing.assert_allclose(product, np.tanh(VECTORS[TOKENS] @ MATRIX), atol=1e-6)
    np.testing.assert_array_equal(vectors, np.maximum(VECTORS[TOKENS], 0))


def test_a_transposed_product_stays() -> None:
    square = MATRIX[:, :DEPTH]
    tokens = ops.parameter([-1], np.int64)
    found = ops.gather(ops.constant(VECTORS), tokens, np.int64(0))
    model = openvino.Model([ops.matmul(found, square, False, True)], [tokens], "transposed")
    openvino_graph.rewrite(model)
    wanted = VECTORS[TOKENS] @ square.T
    np.testing.assert_allclose(compute(model, TOKENS)[0], wanted, atol=1e-6)


def test_a_table_that_would_be_too_large_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_graph, "MOST_VALUES", WORDS * GATES - 1)
    model = reading()
    openvino_graph.rewrite(model)
    assert "MatMul" in kinds(model)


def digest_of_a_table() -> str:
    """Return the digest of a table of a shape with which a product of matrices would differ."""
    random = np.random.default_rng(0)
    vectors = random.normal(size=(88, 128)).astype(np.float32)
    matrix = random.normal(size=(128, 1024)).astype(np.float32)
    tokens = ops.parameter([-1], np.int64)
    found = ops.gather(ops.constant(vectors), tokens, np.int64(0))
    model = openvino.Model([ops.matmul(found, matrix, False, False)], [tokens], "reading")
    openvino_graph.rewrite(model)
    constants = [each for each in model.get_ordered_ops() if each.get_type_name() == "Constant"]
    (table,) = [each.get_data() for each in constants if list(each.shape) == [88, 1024]]
    return hashlib.sha256(table.tobytes()).hexdigest()


def test_the_table_is_the_same_whatever_the_number_of_threads() -> None:
    found = {
        subprocess.run(
            [sys.executable, "-c", f"from {__name__} import *; print(digest_of_a_table())"],
            env={**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        for threads in ("1", "2")
    }
    assert len(found) == 1


def test_tanh_has_the_values_of_tanh() -> None:
    values = ops.parameter([-1], np.float32)
    model = openvino.Model([ops.tanh(values)], [values], "tanh")
    openvino_graph.rewrite(model)
    assert "Tanh" not in kinds(model)
    inputs = np.concatenate([np.linspace(-12, 12, 9999), [-1e30, -100, 0, 100, 1e30]])
    found = compute(model, inputs.astype(np.float32))[0]
    np.testing.assert_allclose(found, np.tanh(inputs), rtol=0, atol=2.5e-7)
    assert found[0] == found[-5] == -1 and found[-1] == 1 and found[-3] == 0


def test_tanh_of_other_numbers_stays() -> None:
    values = ops.parameter([-1], np.float16)
    model = openvino.Model([ops.tanh(values)], [values], "tanh")
    openvino_graph.rewrite(model)
    inputs = np.array([-2, 0, 0.5], np.float16)
    np.testing.assert_allclose(compute(model, inputs)[0], np.tanh(inputs), atol=1e-3)
