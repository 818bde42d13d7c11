"""Models written as ONNX text, short enough to read and to write by hand.

Two liberties make examples short:

1. The ``<ir_version: .., opset_import: [..]>`` before the graph may be left out; then ``HEADER``
   is used.
2. A weight may be named without values: a typed name in the ``<...>`` list after a graph's
   signature, with a static shape and no ``=``, that some node uses and none produces. It becomes
   an initializer of that graph, filled with seeded noise when asked for (see ``noise``).

Names declared in the list and produced by a node stay what they are in ONNX: declared shapes.
"""

import re
from collections.abc import Iterator

import onnx
import onnx.parser

from ..errors import NotAModel
from . import noise
from .protobuf import DecodeError, explained

HEADER = '<ir_version: 10, opset_import: ["" : 22]>'

CONTROL_CHARACTER = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")

_NESTING_LIMIT = 100
_BRACKETS = re.compile(r'"(?:\\.|[^"\\])*"|#[^\n]*|[({]|[)}]', re.DOTALL)
_ERROR = re.compile(
    r"\[ParseError at position \(line: (?P<line>\d+) column: \d+\)\]\n"
    r"Error context: (?P<context>.*?)\n(?P<what>[^\n]*)$",
    re.DOTALL,
)

_POSITIVE_INPUTS = {
    "BatchNormalization": (1, 4),  # scale, variance
    "InstanceNormalization": (1,),
    "LayerNormalization": (1,),
    "GroupNormalization": (1,),
    "RMSNormalization": (1,),
    "SimplifiedLayerNormalization": (1,),
    "SkipLayerNormalization": (2,),
    "SkipSimplifiedLayerNormalization": (2,),
    "QuantizeLinear": (1,),
    "DequantizeLinear": (1,),
    "Resize": (1, 2),  # scales: the second input until opset 10, the third since
    "Upsample": (1,),
}
"""Inputs that must be above zero, whatever the operator's domain."""

_FLOATS = frozenset({1, 10, 11, 16})  # float float16 double bfloat16


def read_text(data: bytes) -> onnx.ModelProto:
    """The model that UTF-8 encoded ONNX text describes.

    Raises:
        NotAModel: it is no ONNX text.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotAModel(f"expected ONNX text in UTF-8, found {error.reason} in it") from error
    return model_of(text)


def model_of(text: str) -> onnx.ModelProto:
    """The model that ONNX text describes, its weights without values marked as noise.

    Raises:
        NotAModel: with the line, and what was expected there.
    """
    _refuse_deep_nesting(text)
    # On the same line, so that line numbers stay those of the text.
    whole = text if _has_header(text) else f"{HEADER} {text}"
    try:
        model = onnx.parser.parse_model(whole)
    except onnx.parser.ParseError as error:
        raise NotAModel(_explained(error)) from error
    except DecodeError as error:
        raise NotAModel(explained(error)) from error
    except (IndexError, ValueError, RuntimeError) as error:  # as the C++ number parsers throw
        raise NotAModel(f"ONNX text with a number that cannot be read: {error}") from error
    _fill_in_weights(model.graph, frozenset())
    return model


def looks_like_text(head: bytes) -> bool:
    """True when these first bytes are ONNX text.

    That is: no control characters, which every binary model begins with, and the signature or
    the header of a graph.
    """
    if CONTROL_CHARACTER.search(head):
        return False
    bare = re.sub(rb"#[^\n]*\n", b"", head).lstrip(b"\xef\xbb\xbf \t\r\n")
    is_markup = re.match(rb"<[!?/]|<html", bare, re.IGNORECASE) is not None
    return not is_markup and (bare[:1] == b"<" or b"=>" in bare)


def _has_header(text: str) -> bool:
    return re.match(r"(\s|#[^\n]*\n)*<", text) is not None


def _refuse_deep_nesting(text: str) -> None:
    """Raises for text so deep that onnx's parser, which recurses, would exhaust the stack."""
    depth = 0
    for match in _BRACKETS.finditer(text):
        bracket = match[0]
        if bracket in "({":
            depth += 1
        elif bracket in ")}":
            depth -= 1
        if depth > _NESTING_LIMIT:
            line = text.count("\n", 0, match.start()) + 1
            raise NotAModel(
                f"line {line} of the ONNX text: more than {_NESTING_LIMIT} brackets nested; "
                "flatten the nested subgraphs"
            )


def _explained(error: onnx.parser.ParseError) -> str:
    """The parser's message with the line first, and the place in it."""
    said = error.args[0]
    said = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    match = _ERROR.search(said)
    if match is None:
        return f"ONNX text: {said.strip()}"
    context = match["context"].removeprefix(HEADER).strip()
    context = context if len(context) <= 120 else f"...{context[-120:]}"
    return f"line {match['line']} of the ONNX text: {match['what'].strip().rstrip('.')}: {context}"


def _fill_in_weights(graph: onnx.GraphProto, outer: frozenset[str]) -> None:
    """Turns declared names that lack a value into initializers, here and in the subgraphs.

    ``outer`` holds the names that the graphs around this one define: those are not redefined.
    """
    given = {value.name for value in (*graph.input, *graph.output)}
    given.update(tensor.name for tensor in graph.initializer)
    given.update(tensor.values.name for tensor in graph.sparse_initializer)
    given.update(name for node in _nodes_within(graph) for name in node.output)
    uses = _uses(graph)
    declared = list(graph.value_info)
    del graph.value_info[:]
    for value in declared:
        dims = _static_shape(value)
        if dims is None or value.name in given or value.name in outer or value.name not in uses:
            graph.value_info.append(value)
            continue
        data_type = value.type.tensor_type.elem_type
        role = _role(uses[value.name], data_type, len(dims))
        graph.initializer.append(noise.noise_tensor(value.name, data_type, dims, role))
    inner = outer | given | {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        for subgraph in _subgraphs(node):
            _fill_in_weights(subgraph, inner)


def _static_shape(value: onnx.ValueInfoProto) -> list[int] | None:
    """The sizes of a tensor type when all are known; None otherwise."""
    if not value.type.HasField("tensor_type") or not value.type.tensor_type.HasField("shape"):
        return None
    dims = value.type.tensor_type.shape.dim
    if not all(dim.HasField("dim_value") for dim in dims):
        return None
    return [dim.dim_value for dim in dims]


def _uses(graph: onnx.GraphProto) -> dict[str, list[tuple[str, int]]]:
    """Name -> the operators that read it and at which input, subgraphs included.

    A subgraph's output that no node of it makes is a use too: it passes an outer name on.
    """
    uses: dict[str, list[tuple[str, int]]] = {}
    for node in _nodes_within(graph):
        for index, name in enumerate(node.input):
            uses.setdefault(name, []).append((node.op_type, index))
        for subgraph in _subgraphs(node):
            for value in subgraph.output:
                uses.setdefault(value.name, []).append(("", 0))
    return uses


def _nodes_within(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """The nodes of a graph and of all graphs inside it."""
    for node in graph.node:
        yield node
        for subgraph in _subgraphs(node):
            yield from _nodes_within(subgraph)


def _subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _role(uses: list[tuple[str, int]], data_type: int, rank: int) -> str:
    """What kind of noise suits a weight with these uses."""
    if any(_must_be_positive(op_type, index, data_type) for op_type, index in uses):
        return noise.POSITIVE
    return noise.OFFSET if rank <= 1 else noise.WEIGHT


def _must_be_positive(op_type: str, index: int, data_type: int) -> bool:
    """True for scales and variances; of a QLinear operator every floating input is a scale."""
    if op_type.startswith("QLinear"):
        return data_type in _FLOATS
    return index in _POSITIVE_INPUTS.get(op_type, ())
