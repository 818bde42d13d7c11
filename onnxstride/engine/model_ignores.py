"""Wishes to ignore findings that a model holds itself: read, written, and taken out again.

They have two places, both entries of ``metadata_props`` under ``KEY``:

1. The model's: a JSON list of objects with ``code`` (a selector of rules), ``node`` (a node as
   reports spell it, exactly; left out for every node) and ``reason`` (may be left out). Most tools
   that rewrite models keep it, so this is where wishes are written.
2. A node's, about that node: selectors and a reason, ``UP101, DN202: drawn on purpose``. It is
   read, and taken out where that is asked for.

Models are written by strangers: a value is read as a whole or not at all, and what is longer than
``LONGEST`` characters is not looked at.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import InvalidIgnore
from ..graph import Graph, read_graph
from ..modelfile import ModelFile

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

KEY = "onnxstride.ignore"
"""Key of the metadata that holds wishes."""

LONGEST = 1 << 20

_SELECTOR = re.compile(r"[A-Za-z0-9-]+")
_FIELDS = ("code", "node", "reason")
_EXPECTED = 'a JSON list of objects such as {"code": "UP101", "node": "up1", "reason": "..."}'
_EXPECTED_AT_NODE = "codes and a reason, such as UP101, DN202: drawn on purpose"
_ADVICE = "correct it, or take it out with onnxstride ignore --remove"


class Entry(NamedTuple):
    """One wish; ``node`` is None for every node. ``is_at_node`` tells the second place."""

    code: str
    node: str | None
    reason: str = ""
    is_at_node: bool = False


class Held(NamedTuple):
    """The wishes of a model, and what is wrong with those that cannot be read."""

    entries: tuple[Entry, ...] = ()
    faults: tuple[InvalidIgnore, ...] = ()


class Edited(NamedTuple):
    """A model with other wishes, and the wishes that make the difference.

    ``unread`` counts values that were taken out although they could not be read.
    """

    model: ModelFile
    entries: tuple[Entry, ...]
    unread: int = 0


def held_by(model: ModelFile, graph: Graph) -> Held:
    """The wishes that ``model`` holds, those about the model first; ``graph`` is its graph."""
    entries: list[Entry] = []
    faults: list[InvalidIgnore] = []
    for value in _values(model.proto):
        try:
            entries += _of_model(value)
        except InvalidIgnore as fault:
            faults.append(fault)
    # Nearly all nodes have no metadata, which is found out for 10,000 of them in 4 ms.
    for node in [each for each in graph.nodes() if each.proto.metadata_props]:
        for value in _values(node.proto):
            try:
                entries += _of_node(value, node.ref.path)
            except InvalidIgnore as fault:
                faults.append(fault)
    return Held(tuple(entries), tuple(faults))


def with_entries(model: ModelFile, entries: Iterable[Entry]) -> Edited:
    """The model with these wishes too; one that differs in its reason alone is replaced.

    ``entries`` of the result are those that were not there. ``model`` itself is left alone.

    Raises:
        InvalidIgnore: what it holds already cannot be read, or there would be too much of it.
    """
    edited = _copied(model)
    values = [(props, _of_model(props.value)) for props in _props(edited.proto)]
    added = [entry for entry in entries if all(entry not in there for _, there in values)]
    if not added:
        return Edited(edited, ())
    if not values:
        values.append((edited.proto.metadata_props.add(key=KEY), []))
    replaced = {(entry.code, entry.node) for entry in added}
    more = added
    for props, there in values:
        kept = [entry for entry in there if (entry.code, entry.node) not in replaced]
        if more or len(kept) < len(there):
            _put(props, [*kept, *more])
        more = []
    return Edited(edited, tuple(added))


def without_entries(
    model: ModelFile, is_meant: Callable[[Entry], bool], *, with_unread: bool = False
) -> Edited:
    """The model without the wishes that are meant; ``model`` itself is left alone.

    ``with_unread`` takes out values that cannot be read, too. A value that nothing is left of is
    gone as if it had never been there.

    Raises:
        InvalidIgnore: a value cannot be read, and is to be kept.
        InvalidGraph: the model has no node.
    """
    edited = _copied(model)
    taken: list[Entry] = []
    unread = 0
    for holder, read in _holders(edited):
        for props in _props(holder):
            try:
                found = read(props.value)
            except InvalidIgnore:
                if not with_unread:
                    raise
                found, unread = [], unread + 1
            kept = [entry for entry in found if not is_meant(entry)]
            taken += [entry for entry in found if is_meant(entry)]
            if not kept:
                _clear(holder, props)
            elif len(kept) < len(found):
                _put(props, kept)
    return Edited(edited, tuple(taken), unread)


def _holders(model: ModelFile) -> Iterator[tuple[Any, Callable[[str | bytes], list[Entry]]]]:
    """All that may hold wishes, each with what reads them there."""
    yield model.proto, _of_model
    for node in read_graph(model).nodes():
        yield node.proto, partial(_of_node, node=node.ref.path)


def _copied(model: ModelFile) -> ModelFile:
    proto: ModelProto = type(model.proto)()
    proto.CopyFrom(model.proto)
    return model.edited(proto)


def _props(holder: "ModelProto | NodeProto") -> list[Any]:
    return [entry for entry in holder.metadata_props if entry.key == KEY]


def _values(holder: "ModelProto | NodeProto") -> Iterator[str | bytes]:
    for entry in _props(holder):
        yield entry.value  # bytes, where it is no UTF-8


def _clear(holder: "ModelProto | NodeProto", props: Any) -> None:
    """Take one entry out; of several that are the same, any of them."""
    del holder.metadata_props[list(holder.metadata_props).index(props)]


def _put(props: Any, entries: Sequence[Entry]) -> None:
    """Spell the entries, all of one place, as that place has them."""
    if entries and entries[0].is_at_node:
        codes, reason = ", ".join(entry.code for entry in entries), entries[0].reason
        props.value = f"{codes}: {reason}" if reason else codes
        return
    import json

    value = json.dumps([_as_json(entry) for entry in entries])
    if len(value) > LONGEST:
        raise InvalidIgnore(
            f"the model would hold {len(value):,} characters of ignores; expected at most "
            f"{LONGEST:,}: leave out --node to ignore a rule as a whole, or record a baseline "
            "with onnxstride lint --write-baseline"
        )
    props.value = value


def _as_json(entry: Entry) -> dict[str, str]:
    node = {} if entry.node is None else {"node": entry.node}
    reason = {"reason": entry.reason} if entry.reason else {}
    return {"code": entry.code, **node, **reason}


def _of_model(value: str | bytes) -> list[Entry]:
    import json

    where = f"metadata {KEY!r} of the model"
    text = _text(value, where, _EXPECTED)
    try:
        found = json.loads(text, object_pairs_hook=unambiguous)
    except (ValueError, RecursionError) as error:
        raise _invalid(where, _EXPECTED, text) from error
    if not isinstance(found, list) or not all(map(_is_entry, found)):
        raise _invalid(where, _EXPECTED, text)
    return [Entry(each["code"], each.get("node"), each.get("reason", "")) for each in found]


def unambiguous(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, of which no entry is there twice: the one would hide the other."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an entry is there twice")
    return found


def _is_entry(found: Any) -> bool:
    # A field that is not known may be a "node" misspelt, without which every node is meant.
    return (
        isinstance(found, dict)
        and "code" in found
        and all(key in _FIELDS and isinstance(value, str) for key, value in found.items())
        and _SELECTOR.fullmatch(found["code"]) is not None
    )


def _of_node(value: str | bytes, node: str) -> list[Entry]:
    where = f"metadata {KEY!r} of node {node!r}"
    text = _text(value, where, _EXPECTED_AT_NODE)
    codes, _, reason = text.partition(":")
    found = [code.strip() for code in codes.split(",")]
    if not all(map(_SELECTOR.fullmatch, found)):
        raise _invalid(where, _EXPECTED_AT_NODE, text)
    return [Entry(code, node, reason.strip(), is_at_node=True) for code in dict.fromkeys(found)]


def _text(value: str | bytes, where: str, expected: str) -> str:
    if isinstance(value, bytes):
        raise InvalidIgnore(
            f"{where}: expected {expected}, found bytes that are no UTF-8; {_ADVICE}"
        )
    if len(value) > LONGEST:
        raise InvalidIgnore(
            f"{where}: expected at most {LONGEST:,} characters, found {len(value):,}; {_ADVICE}"
        )
    return value


def _invalid(where: str, expected: str, text: str) -> InvalidIgnore:
    found = text if len(text) <= 40 else f"{text[:38]}.."
    return InvalidIgnore(f"{where}: expected {expected}, found {found!r}; {_ADVICE}")
