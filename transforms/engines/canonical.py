"""One form for graphs of ONNX that compute the same in the same way.

Converters name values by counting through the life of a process and write them in the order of
hash tables, so that two conversions of one model have other bytes.
"""

from typing import Any


def rewrite(graph: Any) -> None:
    """Order and name all within a graph by how its outputs are computed.

    Inputs and outputs keep their names. What no output needs goes, and so does what only tells of
    the graph. A graph with graphs in its nodes is left as it is, for those refer to its values.

    Args:
        graph: GraphProto, changed in place.
    """
    if any(each.HasField("g") or each.graphs for n in graph.node for each in n.attribute):
        return
    _join_copies(graph)
    nodes = _ordered(graph)
    kept = {value.name for value in (*graph.input, *graph.output)}
    fresh: dict[str, str] = {name: name for name in kept} | {"": ""}
    initializers = {each.name: each for each in graph.initializer}
    constants = [initializers[name] for name in sorted(kept & set(initializers))]
    for number, node in enumerate(nodes):
        for name in node.input:
            if name in initializers and name not in fresh:
                constants.append(initializers[name])
                fresh[name] = f"constant_{len(constants)}"
        for place, name in enumerate(node.output):
            fresh.setdefault(name, f"value_{number}_{place}")
        node.input[:] = [fresh[name] for name in node.input]
        node.output[:] = [fresh[name] for name in node.output]
        node.name, node.doc_string = f"{node.op_type}_{number}", ""
        del node.metadata_props[:]
        attributes = sorted(node.attribute, key=lambda each: each.name)
        for attribute in attributes:
            if attribute.HasField("t"):
                attribute.t.name = ""
        del node.attribute[:]
        node.attribute.extend(attributes)
    for constant in constants:
        constant.name, constant.doc_string = fresh[constant.name], ""
    free: dict[str, str] = {}  # Sizes that are not fixed.
    for value in (*graph.input, *graph.output):
        for size in value.type.tensor_type.shape.dim:
            if size.dim_param:
                size.dim_param = free.setdefault(size.dim_param, f"size_{len(free)}")
    for told in (graph.value_info, graph.metadata_props, graph.quantization_annotation):
        del told[:]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(constants)
    graph.name, graph.doc_string = "graph", ""


def _join_copies(graph: Any) -> None:
    """Make, of values that are copies of each other, the first output of the graph the original.

    Which of them the others are copied from differs from one conversion to the next.
    """
    made = {name for node in graph.node for name in node.output}
    originals = {
        node.output[0]: node.input[0]
        for node in graph.node
        if node.op_type == "Identity" and node.input[0] in made
    }

    def original(name: str) -> str:
        while name in originals:
            name = originals[name]
        return name

    outputs: dict[str, list[str]] = {}  # By what they are copies of.
    for value in graph.output:
        outputs.setdefault(original(value.name), []).append(value.name)
    first = {source: names[0] for source, names in outputs.items()}
    nodes = [node for node in graph.node if node.output[0] not in originals]
    for node in nodes:
        for names in (node.input, node.output):
            names[:] = [first.get(original(name), original(name)) for name in names]
    del graph.node[:]
    graph.node.extend(nodes)
    for source, names in outputs.items():
        for copy in names[1:]:
            graph.node.add(op_type="Identity", input=[first[source]], output=[copy])


def _ordered(graph: Any) -> list[Any]:
    """Return the nodes that outputs need, each after those whose values it reads."""
    made = {name: node for node in graph.node for name in node.output if name}
    done: set[str] = set()  # Values whose nodes are in the result.
    nodes: list[Any] = []
    # No recursion: graphs are deeper than Python's stack.
    stack = [value.name for value in reversed(graph.output)]
    while stack:
        node = made.get(stack[-1])
        if node is None or stack[-1] in done:
            stack.pop()
            continue
        missing = [name for name in node.input if name in made and name not in done]
        if missing:
            stack += reversed(missing)
            continue
        nodes.append(node)
        done.update(node.output)
    return nodes
