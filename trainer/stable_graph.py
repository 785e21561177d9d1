"""The same SavedModel for the same model, whatever the process did before.

TensorFlow numbers functions through the life of a process, writes them in the order of a hash
table, and stamps each SavedModel with a random fingerprint. Two exports of one model would
therefore be two different captioners to whoever compares their digests.
"""

import copy
import re
from collections.abc import Callable, MutableMapping, MutableSequence
from pathlib import Path
from typing import Any

from google.protobuf.message import Message

_NUMBER = re.compile(r"_(\d+)$")
_CAPTURE = "_user_specified_name"  # Of a captured tensor: its number in the process.


def stabilise(folder: Path) -> None:
    """Rewrite the graph of a SavedModel with its functions numbered from 0, in order of creation.

    The fingerprint, which TensorFlow does not need for loading, goes.
    """
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
    # The names are in attributes, map keys and names of nodes and arguments, or a part of these.
    longest = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
    pattern = re.compile(rf"({longest})(?!\d)")
    encoded = re.compile(pattern.pattern.encode())

    def renamed(text: Any) -> Any:
        if isinstance(text, bytes):
            return encoded.sub(lambda match: fresh[match[1].decode()].encode(), text)
        return pattern.sub(lambda match: fresh[match[1]], text)

    _rename(model, renamed)
    path.write_bytes(model.SerializeToString(deterministic=True))
    (folder / "fingerprint.pb").unlink(missing_ok=True)


def _rename(message: Any, renamed: Callable[[Any], Any]) -> None:
    """Change strings, bytes and string keys wherever they are in a message.

    As text, which protobuf's Python code writes and reads, this would take as long as all the rest.

    Args:
        message: changed in place.
        renamed: gives what takes the place of a str or bytes.
    """
    for field, value in message.ListFields():
        if isinstance(value, (str, bytes)):
            setattr(message, field.name, renamed(value))
        elif isinstance(value, Message):
            _rename(value, renamed)
        elif isinstance(value, MutableMapping):
            _rename_entries(value, renamed)
        elif isinstance(value, MutableSequence):
            for place, entry in enumerate(value):
                if isinstance(entry, (str, bytes)):
                    value[place] = renamed(entry)
                elif isinstance(entry, Message):
                    _rename(entry, renamed)


def _rename_entries(entries: Any, renamed: Callable[[Any], Any]) -> None:
    """Change the keys and values of a map."""
    moved = []  # All are taken out before one is put in, for a new key may be another's old one.
    for key in list(entries):
        value = entries[key]
        fresh = renamed(key) if isinstance(key, str) else key
        if isinstance(value, Message):
            _rename(value, renamed)
        elif isinstance(value, (str, bytes)):
            entries[key] = value = renamed(value)
        if fresh != key:
            moved.append((fresh, copy.deepcopy(value)))
            del entries[key]
    for key, value in moved:
        if isinstance(value, Message):
            entries[key].CopyFrom(value)
        else:
            entries[key] = value


def _created(name: str) -> tuple[int, str]:
    match = _NUMBER.search(name)
    return (int(match[1]) if match else -1, name)


def _forget_number(attributes: Any) -> None:
    if _CAPTURE in attributes and attributes[_CAPTURE].s.isdigit():
        del attributes[_CAPTURE]
