"""Notes about nodes, written into a model where viewers show them, and taken out again.

A note has two places:

1. The end of the node's ``doc_string``: a block that starts at ``BEGIN`` and ends at ``END``, each
   on a line of its own. Where there is a doc_string already, be it an empty one, an empty line
   stands between it and the block; so taking the block out tells "" from none.
2. An entry of the node's ``metadata_props``, from the IR version on that has them on nodes.

Nothing else of the model is touched, and a model that was never annotated is what taking all notes
out gives back.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..graph import read_graph
from ..graph.scope import graph_attributes
from ..modelfile import ModelFile
from ..rule import NodeRef

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

RECORD = "onnxstride.findings"
"""Key of a node's metadata under which its findings are recorded."""

BEGIN, END = "--- onnxstride ---", "--- end of onnxstride ---"

_IR_WITH_NODE_METADATA = 10
_GAP = "\n\n"
# A block holds no BEGIN, so one that lost its END does not swallow what follows it.
_BLOCK = re.compile(rf"(?:\A|{_GAP}){BEGIN}\n(?:(?!{BEGIN}$).*\n)*?{END}$", re.MULTILINE)


class Note(NamedTuple):
    """What there is to say of one node: to people, line by line, and to programs."""

    node: NodeRef
    lines: tuple[str, ...]
    record: str


class Annotated(NamedTuple):
    """A model with its notes.

    Attributes:
        model: the edited model.
        written: nodes that carry a note now.
        cleared: how many nodes carried an earlier one.
        refused: nodes with no place for one: their documentation is no text, and metadata on nodes
            is newer than the model.
    """

    model: ModelFile
    written: tuple[NodeRef, ...]
    cleared: int
    refused: tuple[NodeRef, ...]


def annotate(model: ModelFile, notes: Sequence[Note]) -> Annotated:
    """The model with these notes in place of all earlier ones; ``model`` itself is left alone.

    Raises:
        InvalidGraph: there is something to note, and the graph cannot be read.
    """
    proto: ModelProto = type(model.proto)()
    proto.CopyFrom(model.proto)
    edited = model.edited(proto)
    cleared = sum([_clear(node) for node in _nodes(proto)])
    places = _places(edited) if notes else {}
    has_metadata = proto.ir_version >= _IR_WITH_NODE_METADATA
    written = [note.node for note in notes if _write(note, places[note.node], has_metadata)]
    refused = {note.node for note in notes}.difference(written)
    return Annotated(
        edited,
        tuple(written),
        cleared,
        tuple(note.node for note in notes if note.node in refused),
    )


def _places(model: ModelFile) -> "dict[NodeRef, NodeProto]":
    return {node.ref: node.proto for node in read_graph(model).nodes()}


def _nodes(proto: "ModelProto") -> "Iterator[NodeProto]":
    """Every node, those of bodies and of functions included."""
    yield from _with_bodies(proto.graph.node)
    for function in proto.functions:
        yield from _with_bodies(function.node)


def _with_bodies(nodes: "Iterable[NodeProto]") -> "Iterator[NodeProto]":
    for node in nodes:
        yield node
        for _, body in graph_attributes(node):
            yield from _with_bodies(body.node)


def _write(note: Note, node: "NodeProto", has_metadata: bool) -> bool:
    """Put the note where the node has a place for it; False when it has none."""
    documentation: Any = node.doc_string  # bytes, where it is no UTF-8
    is_text = isinstance(documentation, str)
    if is_text:
        gap = _GAP if node.HasField("doc_string") else ""
        node.doc_string += gap + "\n".join([BEGIN, *note.lines, END])
    if has_metadata:
        node.metadata_props.add(key=RECORD, value=note.record)
    return is_text or has_metadata


def _clear(node: "NodeProto") -> bool:
    """Take an earlier note out; False when there was none."""
    records = [i for i, entry in enumerate(node.metadata_props) if entry.key == RECORD]
    for index in reversed(records):
        del node.metadata_props[index]
    text: Any = node.doc_string
    rest = _without_blocks(text) if isinstance(text, str) else text
    if rest is None:
        node.ClearField("doc_string")
    elif rest != text:
        node.doc_string = rest
    return bool(records) or rest != text


def _without_blocks(text: str) -> str | None:
    """The documentation there was before the block; None where there was none, not even empty."""
    while (block := _BLOCK.search(text)) is not None:
        if block[0] == text and not text.startswith(_GAP):
            return None
        text = text[: block.start()] + text[block.end() :]
    return text
