"""The same SavedModel for the same model, whatever the process did before.

TensorFlow numbers functions through the life of a process, writes them in the order of a hash
table, and stamps each SavedModel with a random fingerprint. Two exports of one model would
therefore be two different captioners to whoever compares their digests.
"""

import re
from pathlib import Path
from typing import Any

_NUMBER = re.compile(r"_(\d+)$")
_CAPTURE = "_user_specified_name"  # Of a captured tensor: its number in the process.


def stabilise(folder: Path) -> None:
    """Rewrite the graph of a SavedModel with its functions numbered from 0, in order of creation.

    The fingerprint, which TensorFlow does not need for loading, goes.
    """
    from google.protobuf import text_format
    from tensorflow.core.protobuf import saved_model_pb2

    path = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for meta_graph in model.meta_graphs:
        functions = meta_graph.graph_def.library.function
        functions.sort(key=lambda function: _created(function.signature.name))
        for function in functions:
            for attributes in function.arg_attr.values():
                _forget_number(attributes.attr)
            for node in function.node_def:
                _forget_number(node.attr)
    names = [
        f.signature.name for graph in model.meta_graphs for f in graph.graph_def.library.function
    ]
    fresh = {name: _NUMBER.sub("", name) + f"_{place}" for place, name in enumerate(names)}
    # The names are in attributes, map keys and names of nodes and arguments; as text all are alike.
    longest = sorted(map(re.escape, names), key=len, reverse=True)
    pattern = re.compile(rf"({'|'.join(longest)})(?!\d)")
    text = pattern.sub(lambda match: fresh[match[1]], text_format.MessageToString(model))
    model = text_format.Parse(text, saved_model_pb2.SavedModel())
    path.write_bytes(model.SerializeToString(deterministic=True))
    (folder / "fingerprint.pb").unlink(missing_ok=True)


def _created(name: str) -> tuple[int, str]:
    match = _NUMBER.search(name)
    return (int(match[1]) if match else -1, name)


def _forget_number(attributes: Any) -> None:
    if _CAPTURE in attributes and attributes[_CAPTURE].s.isdigit():
        del attributes[_CAPTURE]
