"""The one form of a graph of ONNX."""

import numpy as np
import onnx
from onnx import helper
from onnx.reference import ReferenceEvaluator

from transforms.engines import canonical

OUTPUTS = ("state_00", "state_01", "twice")


def graph(original: str, copy: str, between: str) -> onnx.ModelProto:
    """Return a model whose two states are one value, written as a converter may."""
    nodes = [
        helper.make_node("Neg", ["features"], [original], name=f"{between}_neg"),
        helper.make_node("Identity", [original], [between]),
        helper.make_node("Identity", [between], [copy]),
        helper.make_node("Add", [copy, between], ["twice"]),
    ]
    described = {
        name: helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [2])
        for name in ("features", *OUTPUTS)
    }
    made = helper.make_graph(
        nodes, between, [described["features"]], [described[name] for name in OUTPUTS]
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)])


def test_copies_of_a_value_have_one_order() -> None:
    models = [graph("state_00", "state_01", "one"), graph("state_01", "state_00", "other")]
    for model in models:
        canonical.rewrite(model.graph)
        onnx.checker.check_model(model)
        results = ReferenceEvaluator(model).run(None, {"features": np.array([1, 2], np.float32)})
        np.testing.assert_array_equal(results, [[-1, -2], [-1, -2], [-2, -4]])
    assert models[0].SerializeToString() == models[1].SerializeToString()
