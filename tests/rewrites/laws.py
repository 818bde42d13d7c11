"""The laws every rewrite obeys, each a function from a rewrite to what it breaks.

A law returns sentences, one per violation, so that a test can show both that the built-in
rewrites break none and that a planted fault is noticed.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
from onnx import checker, helper

from onnxstride.api import Response
from onnxstride.engine.changes import RECORD, Change, Plan, Rewritten
from onnxstride.engine.lint import lint_graph
from onnxstride.engine.opsets import raise_imports
from onnxstride.engine.rewriting import rewrite_model
from onnxstride.geometry import output_size
from onnxstride.graph import read_graph
from onnxstride.graph.layers import ConvTranspose, Pool, Window
from onnxstride.modelfile import ModelFile, parse_text
from onnxstride.registry import LoadedRewrite, load_rules
from onnxstride.rewrite import Options
from onnxstride.rule import Safety
from tests.rules.laws import marked_outputs

from .comparing import differences
from .running import Session, made_up, refusals, signal, tolerance, whole

Law = Callable[[LoadedRewrite], Iterator[str]]

_HEADING = {
    Safety.EXACT: "When it is exact",
    Safety.APPROXIMATE: "What it costs",
    Safety.TRAINING: "What it costs",
}
_SIZES = (1, 2, 3, 4, 5, 7, 8, 12, 17)
_RULES = load_rules()


def applied(loaded: LoadedRewrite, model: ModelFile) -> Rewritten:
    """The model after one rewrite, asked about every node, its opset raised if that is needed."""
    options = Options(opset=loaded.rewrite.opset)
    plan = Plan(
        [loaded], named=True, allow=Safety.TRAINING, options=options, made_up=made_up(model)
    )
    return rewrite_model(model, plan)


def examples(loaded: LoadedRewrite) -> Iterator[tuple[str, onnx.ModelProto, Rewritten]]:
    """Every example that is rewritten: its label, the model before, and the result."""
    for label, text in loaded.examples.items():
        before = parse_text(text, label)
        yield label, whole(before), applied(loaded, before)


def documents_itself(loaded: LoadedRewrite) -> Iterator[str]:
    """The docstring has one summary line and then every heading, in order, none empty."""
    lines = loaded.documentation.splitlines()
    if not lines[0].endswith(".") or (len(lines) > 1 and lines[1]):
        yield "the summary is not one line that ends in a full stop"
    wanted = [
        "What it does", _HEADING[loaded.rewrite.safety], "What it refuses", "References"
    ]  # fmt: skip
    found = [line for line in lines[1:] if line and not line.startswith(" ")]
    if found != wanted:
        yield f"the headings are {found}"
    for heading, following in pairwise(lines):
        if heading in wanted and not following.startswith("    "):
            yield f"nothing stands under {heading!r}"


def is_called_as_its_file(loaded: LoadedRewrite) -> Iterator[str]:
    """The file carries the rewrite's name."""
    if loaded.module.rpartition(".")[2] != loaded.name.replace("-", "_"):
        yield f"module {loaded.module} is not called {loaded.name}"


def has_examples_of_both_kinds(loaded: LoadedRewrite) -> Iterator[str]:
    """There is something it rewrites and something it refuses, each with its node marked."""
    if not loaded.examples:
        yield "EXAMPLES is empty"
    if not loaded.refused:
        yield "REFUSED is empty"
    for label, text in (*loaded.examples.items(), *loaded.refused.items()):
        if not marked_outputs(text, loaded.name):
            yield f"{label!r} marks no node"


def rewrites_exactly_the_marked_nodes(loaded: LoadedRewrite) -> Iterator[str]:
    """In every example the nodes whose line says so are rewritten, and no other."""
    for label, text in loaded.examples.items():
        result = applied(loaded, parse_text(text, label))
        changed = {change.node.outputs[0] for change in result.changes}
        if changed != marked_outputs(text, loaded.name):
            yield f"{label!r}: rewrote {sorted(changed)}; refused {result.declined}"


def refuses_for_the_reason_given(loaded: LoadedRewrite) -> Iterator[str]:
    """A marked node of REFUSED is left as it was, and the reason is the label."""
    for label, text in loaded.refused.items():
        model = parse_text(text, label)
        before = model.proto.SerializeToString(deterministic=True)
        result = applied(loaded, model)
        reasons = {each.node.outputs[0]: each.reason for each in result.declined}
        for output in marked_outputs(text, loaded.name):
            if reasons.get(output) != label:
                yield f"{label!r}: the reason for {output!r} is {reasons.get(output)!r}"
        if result.model.proto.SerializeToString(deterministic=True) != before:
            yield f"{label!r}: the model is not what it was"


def makes_valid_models(loaded: LoadedRewrite) -> Iterator[str]:
    """The checker accepts every result, types and shapes included."""
    for label, before, result in examples(loaded):
        checker.check_model(before, full_check=True)
        try:
            checker.check_model(whole(result.model), full_check=True)
        except (checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            yield f"{label!r}: {error}"


def keeps_the_interface(loaded: LoadedRewrite) -> Iterator[str]:
    """Inputs, outputs and IR version are what they were, opsets are unless they had to rise."""
    for label, before, result in examples(loaded):
        after = result.model.proto
        raise_imports(before, loaded.rewrite.opset)
        for what in ("ir_version", "opset_import", "functions", "domain", "producer_name"):
            if getattr(before, what) != getattr(after, what):
                yield f"{label!r}: {what} has changed"
        for what in ("input", "output", "name"):
            if getattr(before.graph, what) != getattr(after.graph, what):
                yield f"{label!r}: the graph's {what} has changed"


def leaves_the_rest_alone(loaded: LoadedRewrite) -> Iterator[str]:
    """Outside the sites everything is identical, field by field."""
    for label, before, result in examples(loaded):
        for difference in differences(before, whole(result.model), result.changes):
            yield f"{label!r}: {difference}"


def names_and_orders_well(loaded: LoadedRewrite) -> Iterator[str]:
    """Nodes come after what they read, names are unique, new ones tell the node replaced."""
    for label, before, result in examples(loaded):
        faults = (*_misplaced(result.model.proto), *_misnamed(before, result))
        yield from (f"{label!r}: {fault}" for fault in faults)


def _misplaced(model: onnx.ModelProto) -> Iterator[str]:
    graph = model.graph
    known = {value.name for value in graph.input} | {each.name for each in graph.initializer}
    for node in graph.node:
        missing = [name for name in node.input if name and name not in known]
        if missing:
            yield f"{node.name!r} reads {missing} before they are made"
        if known & {*filter(None, node.output)}:
            yield f"{node.name!r} makes a tensor that is there already"
        known.update(filter(None, node.output))


def _misnamed(before: onnx.ModelProto, result: Rewritten) -> Iterator[str]:
    after = result.model.proto.graph
    names = [node.name for node in after.node if node.name]
    if len(set(names)) != len(names):
        yield f"node names are not unique: {names}"
    old = {name for node in before.graph.node for name in (node.name, *node.output)}
    old.update(tensor.name for tensor in before.graph.initializer)
    new = {name for node in after.node for name in (node.name, *node.output)} | {
        tensor.name for tensor in after.initializer
    }
    sites = tuple(f"{change.node.name}/" for change in result.changes)
    for name in sorted(new - old):
        if not name.startswith(sites):
            yield f"{name!r} does not begin with the node it replaces"


def settles(loaded: LoadedRewrite) -> Iterator[str]:
    """Rewriting the result again changes nothing."""
    for label, _, result in examples(loaded):
        again = applied(loaded, result.model)
        if again.changes:
            yield f"{label!r}: rewritten again at {[each.node.name for each in again.changes]}"


def leaves_its_input_alone(loaded: LoadedRewrite) -> Iterator[str]:
    """The model that was given is not edited."""
    for label, text in loaded.examples.items():
        model = parse_text(text, label)
        before = model.proto.SerializeToString(deterministic=True)
        applied(loaded, model)
        if model.proto.SerializeToString(deterministic=True) != before:
            yield f"{label!r}: the model is not what it was"


def answers_the_same_twice(loaded: LoadedRewrite) -> Iterator[str]:
    """Two runs make the same bytes."""
    for label, text in loaded.examples.items():
        one, other = (
            applied(loaded, parse_text(text, label)).model.proto.SerializeToString(
                deterministic=True
            )
            for _ in range(2)
        )
        if one != other:
            yield f"{label!r}: two runs differ"


def records_itself(loaded: LoadedRewrite) -> Iterator[str]:
    """The result's metadata names every site, the rewrite and its safety."""
    for label, _, result in examples(loaded):
        entries = [e.value for e in result.model.proto.metadata_props if e.key == RECORD]
        recorded = [
            (each["site"], each["rewrite"], each["safety"])
            for entry in entries
            for each in json.loads(entry)
        ]
        expected = [
            (change.node.name, loaded.name, str(change.safety)) for change in result.changes
        ]
        if recorded != expected or not expected:
            yield f"{label!r}: recorded {recorded}, did {expected}"


def mends_what_it_says(loaded: LoadedRewrite) -> Iterator[str]:
    """Each rule it mends flags a marked node of some example before, and nothing there after.

    Or it flags a place where maps meet, and no longer does.
    """
    seen: set[str] = set()
    for label, before, result in examples(loaded):
        flagged = _flagged(before, loaded)
        sites = {change.node.outputs[0]: change.node.name for change in result.changes}
        still = _flagged(result.model.proto, loaded)
        seen.update(code for code, _, output in flagged if output in sites)
        seen.update(code for code, _, _ in flagged - still)
        for code, name, output in still:
            if output in sites or name.startswith(tuple(f"{site}/" for site in sites.values())):
                yield f"{label!r}: {code} is still flagged at {name!r}"
    for code in sorted({*loaded.rewrite.mends} - seen - _measured()):
        yield f"no example shows {code}, which it mends"


def _measured() -> set[str]:
    """Codes of the rules that judge a run of the model, which no lint of an example makes."""
    return {rule.code for rule in _RULES if Response in rule.rule.on}


def _flagged(model: onnx.ModelProto, loaded: LoadedRewrite) -> set[tuple[str, str, str]]:
    """(code, node, first output) of every finding that the rewrite claims to mend."""
    rules = [rule for rule in _RULES if rule.code in loaded.rewrite.mends]
    findings, _, _ = lint_graph(read_graph(ModelFile.from_proto(model)), rules)
    return {(each.code, each.node.name, each.node.outputs[0]) for each in findings}


def keeps_every_shape(loaded: LoadedRewrite) -> Iterator[str]:
    """At every size at which the window fits, outputs have the same shapes and types."""
    for label, size, before, after, _ in _runs(loaded):
        shapes = [[(array.shape, array.dtype) for array in outputs] for outputs in (before, after)]
        if shapes[0] != shapes[1]:
            yield f"{label!r} at {size}: {shapes[0]} became {shapes[1]}"


def means_exact_when_it_says_so(loaded: LoadedRewrite) -> Iterator[str]:
    """The values of an exact rewrite are within rounding; without arithmetic, the same bits.

    So are those of one that is exact at some sites, where it says so of all of an example's.
    """
    if Safety.EXACT not in (loaded.rewrite.safety, loaded.rewrite.at_best):
        return
    for label, size, before, after, changes in _runs(loaded):
        if any(change.safety is not Safety.EXACT for change in changes):
            continue
        accumulation = max((change.accumulation for change in changes), default=0)
        for one, other in zip(before, after, strict=True):
            if one.shape == other.shape and not _are_equal(one, other, accumulation):
                yield f"{label!r} at {size}: values differ"


def _are_equal(one: Any, other: Any, accumulation: int) -> bool:
    if accumulation == 0:
        return bool(np.array_equal(one, other))
    bound = tolerance(one.dtype, accumulation, one)
    return bool(np.all(np.abs(one - other) <= bound))  # NaN is no number within any bound


def _runs(
    loaded: LoadedRewrite,
) -> Iterator[tuple[str, tuple[int, ...], list[Any], list[Any], tuple[Change, ...]]]:
    """Both models of every example on the same data, at every legal size."""
    for label, before, result in examples(loaded):
        model = whole(result.model)
        old, new = Session(before), Session(model)
        ran = 0
        for sizes in _sizes_of(before):
            feeds = _feeds(before, sizes)
            try:
                expected = old.run(feeds)
            except refusals():
                continue  # not a size of this model
            ran += 1
            yield label, sizes, expected, new.run(feeds), result.changes
        if not ran:
            raise AssertionError(f"{label!r} runs at no size")


def _sizes_of(model: onnx.ModelProto) -> Iterator[tuple[int, ...]]:
    """Combinations of sizes for the symbols of the inputs; a single empty one without symbols."""
    symbols = _symbols(model)
    yield from (
        sizes
        for offset in range(len(_SIZES) if symbols else 1)
        for sizes in [tuple(_SIZES[(offset + i) % len(_SIZES)] for i in range(len(symbols)))]
        if _fits(model, dict(zip(symbols, sizes, strict=True)))
    )


def _symbols(model: onnx.ModelProto) -> list[str]:
    dims = (dim for value in model.graph.input for dim in value.type.tensor_type.shape.dim)
    return list(dict.fromkeys(dim.dim_param for dim in dims if dim.dim_param))


def _fits(model: onnx.ModelProto, sizes: dict[str, int]) -> bool:
    """False when some window is larger than its padded map, which runtimes treat as they like."""
    for layer in read_graph(ModelFile.from_proto(model)).layers:
        if not isinstance(layer, Window) or isinstance(layer, ConvTranspose):
            continue
        ceil_mode = isinstance(layer, Pool) and layer.ceil_mode
        for dim, axis in zip(layer.dims, layer.axes, strict=True):
            size = sizes.get(dim) if isinstance(dim, str) else dim
            if size is not None and output_size(size, axis, ceil_mode=ceil_mode) < 1:
                return False
    return True


def _feeds(model: onnx.ModelProto, sizes: tuple[int, ...]) -> dict[str, Any]:
    bound = dict(zip(_symbols(model), sizes, strict=True))
    feeds = {}
    for seed, value in enumerate(model.graph.input):
        dims = value.type.tensor_type.shape.dim
        shape = [bound.get(dim.dim_param, dim.dim_value) for dim in dims]
        dtype = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        feeds[value.name] = signal(shape, dtype, seed)
    return feeds


LAWS: tuple[Law, ...] = (
    documents_itself,
    is_called_as_its_file,
    has_examples_of_both_kinds,
    rewrites_exactly_the_marked_nodes,
    refuses_for_the_reason_given,
    makes_valid_models,
    keeps_the_interface,
    leaves_the_rest_alone,
    names_and_orders_well,
    settles,
    leaves_its_input_alone,
    answers_the_same_twice,
    records_itself,
    mends_what_it_says,
    keeps_every_shape,
    means_exact_when_it_says_so,
)


def violations(loaded: LoadedRewrite, laws: Iterable[Law] = LAWS) -> list[str]:
    """Everything a rewrite breaks, each sentence headed by the law."""
    return [f"{law.__name__}: {what}" for law in laws for what in law(loaded)]
