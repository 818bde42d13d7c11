"""What a rewrite left alone, field by field: both models with their sites taken out.

A site's nodes are those it replaced, and those that carry its name or begin with it; constants
that begin with it belong to it too. Nodes that fed sites and nothing else may go with them, and
nodes that read sites and nothing else may have become part of them. What remains of both models
has to be the same bytes, but for operator sets that had to rise.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import onnx

from onnxstride.engine.changes import RECORD, Change

_Body = onnx.GraphProto | onnx.FunctionProto


def differences(
    before: onnx.ModelProto, after: onnx.ModelProto, changes: Iterable[Change]
) -> list[str]:
    """Sentences, one for each thing outside the sites that is not as it was."""
    sites = list(changes)
    found: list[str] = []
    old, new = _rest(before, sites), _rest(after, sites)
    _raise(old, max((site.figures.get("opset", 0) for site in sites), default=0))
    replaced = [*_replaced(before, sites)]
    behind = _behind(before, after, replaced)
    for _, body in (*_bodies(old), *_bodies(new)):
        _drop(body.node, lambda node: {*node.output} in behind)
    replaced += _fed_only(before, after, replaced)
    for (where, one), (_, other) in zip(_bodies(old), _bodies(new), strict=True):
        found += _differences_in(where, one, other, replaced, sites)
    if not found and old.SerializeToString(deterministic=True) != new.SerializeToString(
        deterministic=True
    ):
        found.append("something else of the model")
    return found


def _differences_in(
    where: str, old: _Body, new: _Body, replaced: list[onnx.NodeProto], sites: list[Change]
) -> Iterator[str]:
    """What differs in one body; what may be gone is taken out of ``old``."""
    _drop(old.node, lambda node: node in replaced)
    outputs = {tuple(node.output) for node in new.node}
    for node in old.node:
        if tuple(node.output) not in outputs:
            yield f"{where}: node {node.name!r} is gone"
    read = {name for node in replaced for name in node.input}
    vanished = {name for node in replaced for name in node.output}
    vanished -= {site.node.outputs[0] for site in sites}  # it stands for the site from then on
    _drop(old.value_info, lambda value: value.name in vanished)
    if isinstance(old, onnx.GraphProto) and isinstance(new, onnx.GraphProto):
        _drop(old.quantization_annotation, lambda entry: entry.tensor_name in vanished)
        for name in _dropped_initializers(old, new):
            if name not in read:
                yield f"{where}: initializer {name!r} is gone, which no site read"
    for field in old.DESCRIPTOR.fields:
        if getattr(old, field.name) != getattr(new, field.name):
            yield f"{where}: {field.name} is not what it was"


def _dropped_initializers(old: onnx.GraphProto, new: onnx.GraphProto) -> list[str]:
    """Names of those that only ``old`` has; they are taken out of it."""
    kept = {tensor.name for tensor in new.initializer}
    dropped = [tensor.name for tensor in old.initializer if tensor.name not in kept]
    for listed in (old.initializer, old.input):
        _drop(listed, lambda entry: entry.name in dropped)
    return dropped


def _rest(model: onnx.ModelProto, sites: list[Change]) -> onnx.ModelProto:
    """The model without its sites, and without the record of them."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    _drop(copy.metadata_props, lambda entry: entry.key == RECORD)
    for _, body in list(_bodies(copy)):
        _drop(body.node, lambda node: _is_of_a_site(node, sites))
        if isinstance(body, onnx.GraphProto):
            _drop(body.initializer, lambda tensor: _begins_like_a_site(tensor.name, sites))
            _drop(body.input, lambda value: _begins_like_a_site(value.name, sites))
    return copy


def _is_of_a_site(node: onnx.NodeProto, sites: list[Change]) -> bool:
    if any(node.output and node.output[0] == site.node.outputs[0] for site in sites):
        return True
    if node.output and _begins_like_a_site(node.output[0], sites):
        return True
    return _begins_like_a_site(node.name, sites)


def _begins_like_a_site(name: str, sites: list[Change]) -> bool:
    return any(name.startswith(f"{site.node.name}/") for site in sites)


def _replaced(before: onnx.ModelProto, sites: list[Change]) -> Iterator[onnx.NodeProto]:
    """The nodes of ``before`` that sites replaced."""
    outputs = {site.node.outputs[0] for site in sites}
    for _, body in _bodies(before):
        yield from (node for node in body.node if node.output and node.output[0] in outputs)


def _fed_only(
    before: onnx.ModelProto, after: onnx.ModelProto, replaced: list[onnx.NodeProto]
) -> list[onnx.NodeProto]:
    """Nodes that are gone and were read by the replaced ones alone, or by each other."""
    kept = {tuple(node.output) for _, body in _bodies(after) for node in body.node}
    nodes = [node for _, body in _bodies(before) for node in body.node]
    gone = [node for node in nodes if tuple(node.output) not in kept and node not in replaced]
    handed_out = {_name(each) for _, body in _bodies(before) for each in body.output}
    found: list[onnx.NodeProto] = []
    while True:
        going = [*replaced, *found]
        fed = {name for node in going for name in node.input}
        staying = {name for node in nodes if node not in going for name in node.input} | handed_out
        more = [
            node
            for node in gone
            if node not in found and fed & set(node.output) and not staying & set(node.output)
        ]
        if not more:
            return found
        found += more


def _behind(
    before: onnx.ModelProto, after: onnx.ModelProto, replaced: list[onnx.NodeProto]
) -> list[set[str]]:
    """Outputs of nodes that have changed and that read, besides constants, only what sites made."""
    kept = [node for _, body in _bodies(after) for node in body.node]
    constants = {tensor.name for tensor in before.graph.initializer}
    made = {name for node in replaced for name in node.output}
    found: list[set[str]] = []
    for node in (node for _, body in _bodies(before) for node in body.node):
        reads = {*node.input} - constants
        if node not in kept and node not in replaced and reads and reads <= made:
            made |= {*node.output}
            found.append({*node.output})
    return found


def _raise(model: onnx.ModelProto, opset: int) -> None:
    for imports in (model.opset_import, *(each.opset_import for each in model.functions)):
        for entry in imports:
            if not entry.domain:
                entry.version = max(entry.version, opset)


def _name(output: Any) -> str:
    """What a graph hands out is a value with a name; of a function it is the name."""
    return output if isinstance(output, str) else str(output.name)


def _bodies(model: onnx.ModelProto) -> Iterator[tuple[str, _Body]]:
    yield from _within("graph", model.graph)
    for function in model.functions:
        yield from _within(f"function {function.name}", function)


def _within(where: str, body: _Body) -> Iterator[tuple[str, _Body]]:
    yield where, body
    for node in body.node:
        for attribute in node.attribute:
            graphs = [attribute.g] if attribute.HasField("g") else []
            for graph in [*graphs, *attribute.graphs]:
                yield from _within(f"{where}, {attribute.name} of {node.name!r}", graph)


def _drop(entries: Any, is_unwanted: Callable[[Any], bool]) -> None:
    for index in reversed(range(len(entries))):
        if is_unwanted(entries[index]):
            del entries[index]
