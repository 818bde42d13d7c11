"""What holds between a model that ONNX Runtime runs and what onnxstride says of it.

Each law is a function from what was run to sentences, one for each violation. ONNX Runtime runs in
a child process, without optimisation: a model that kills it is refused like any other.
"""

import traceback
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from onnxstride import library
from onnxstride.analysis.known_sizes import KnownSizes
from onnxstride.analysis.layers import spatial_dims
from onnxstride.analysis.sizes import input_sizes
from onnxstride.engine.activations import Activations
from onnxstride.engine.anatomy import anatomy
from onnxstride.engine.changes import Plan, Rewritten, Tap
from onnxstride.engine.lint import lint_graph
from onnxstride.engine.rewriting import rewrite_model
from onnxstride.errors import InvalidNode, OnnxstrideError, RuleError, RunError
from onnxstride.geometry import output_size
from onnxstride.graph import Bindings, Graph, read_graph
from onnxstride.graph.layers import ConvTranspose, Pool, Window
from onnxstride.modelfile import ModelFile
from onnxstride.registry import LoadedRewrite, load_rules
from onnxstride.rewrite import Options
from onnxstride.rule import Safety
from onnxstride.verify import Loadable, Runner, complete

from .graphs import Case

Array = NDArray[Any]

_ROUNDING = {"float16": 2e-2, "float32": 1e-4, "float64": 1e-9}
"""What a few layers may round, as a share of the largest value anywhere; faults are gross."""


_SAMPLES = 4
_LARGEST = 2**31


class Ran(NamedTuple):
    """A case that ONNX Runtime has run: every tensor of the main graph by its name."""

    case: Case
    arrays: dict[str, Array]
    outputs: dict[str, Array]


Law = Callable[[Ran], Iterator[str]]


def ran(case: Case, runner: Runner) -> Ran | None:
    """What ONNX Runtime makes of the case; None where it refuses, crashes or takes too long."""
    try:
        feeds = feeds_of(case)
        outputs = _run(case.model.SerializeToString(), feeds, runner)
        arrays = _run(_with_all_outputs(case.model), feeds, runner)
    except (RunError, ValueError, TypeError, KeyError):
        return None  # a type that cannot be fed is none that a case has unless it is spoiled
    return Ran(case, {**feeds, **arrays}, outputs)


def _run(data: bytes, feeds: dict[str, Array], runner: Runner) -> dict[str, Array]:
    model = Loadable("case", data)
    try:
        return runner.run(model, feeds)
    finally:
        runner.drop(model)


def feeds_of(case: Case) -> dict[str, Array]:
    """Whole numbers from -3 to 3 for every input that has a shape."""
    feeds = {}
    for value in case.model.graph.input:
        if value.name in case.shapes:
            dtype = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
            numbers = np.random.default_rng(7).integers(-3, 4, case.shapes[value.name])
            feeds[value.name] = numbers.astype(dtype)
    return feeds


def _with_all_outputs(model: onnx.ModelProto) -> bytes:
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    known = {value.name for value in whole.graph.output}
    for node in model.graph.node:
        for name in node.output:
            if name and name not in known:
                known.add(name)
                whole.graph.output.add(name=name)
    data: bytes = whole.SerializeToString()
    return data


def is_read_without_error(case: Ran) -> Iterator[str]:
    """What runs is linted without an error entry, with its sizes given and without.

    Nodes of a branch that is not taken do not run, and may be such as cannot.
    """
    data = case.case.model.SerializeToString()
    has_branches = any(node.op_type == "If" for node in case.case.model.graph.node)
    for shapes in ({}, case.case.shapes):
        try:
            report = library.lint(data, input_shapes=shapes)
        except OnnxstrideError as error:
            yield f"lint refuses {shapes}: {error}"
            continue
        yield from (
            f"lint reports {file.error}"
            for file in report.files
            if file.error and not (has_branches and file.error.code == InvalidNode.code)
        )


def states_sizes_that_are(case: Ran) -> Iterator[str]:
    """Every size that is stated of a tensor or a layer is the size that it has."""
    graph = _bound(case.case)
    known = KnownSizes(graph)
    for name, array in case.arrays.items():
        shape = graph.main.shape(name)
        if shape is not None and not _fits(shape, array.shape):
            yield f"{name!r} has the shape {array.shape}, and is said to have {shape}"
        walked = tuple(known.size(graph.main, name, dim) for dim in range(array.ndim))
        if not _fits(walked, array.shape):
            yield f"{name!r} has the shape {array.shape}, and is computed to have {walked}"
    yield from _misstated_layers(case, graph)


def _misstated_layers(case: Ran, graph: Graph) -> Iterator[str]:
    figures = {figure.node: figure for figure in anatomy(graph).layers}
    for layer in graph.layers:
        if layer.node.scope is not graph.main:
            continue
        along, figure = spatial_dims(layer), figures[layer.ref]
        before, after = case.arrays.get(layer.input), case.arrays.get(layer.node.output(0))
        pairs = (("reads", before, figure.input_size), ("makes", after, figure.output_size))
        for what, array, stated in pairs:
            if array is not None and not _fits(stated, [array.shape[dim] for dim in along]):
                yield f"{layer.ref} {what} {array.shape}, and is said to have {stated}"


def _fits(stated: Any, actual: Any) -> bool:
    return len(stated) == len(actual) and all(
        not isinstance(one, int) or one == other for one, other in zip(stated, actual, strict=True)
    )


def admits_the_size_it_ran_at(case: Ran) -> Iterator[str]:
    """The sizes that a model is said to take hold the size that it has just run at."""
    graph = read_graph(ModelFile.from_proto(case.case.model))
    for freed in (False, True):
        found = input_sizes(graph, freed=freed)
        for each in found.inputs:
            for name, dim in each.dims:
                size = case.case.shapes[name][dim]
                if size not in each.sizes and size not in each.stretched:
                    yield f"{name!r} ran at {size} along {dim}; said to take {each.sizes}"
        for mismatch in () if freed else found.mismatches:
            yield f"{mismatch.node} is said not to fit"


def makes_sense(case: Ran) -> bool:
    """False where ONNX Runtime runs what is no layer by the definition of its operator.

    Its pools make up a window where the map is shorter than that by less than a stride, maps that
    hold nothing are passed on, and some padding is not the standard's (BD306 says so). It takes
    strides of 2^62, two inputs of one name, and declarations that are not so.
    """
    if any(array.size == 0 for array in case.arrays.values()):
        return False
    if _declares_wrongly(case) or _is_out_of_bounds(case.case.model):
        return False
    graph = _bound(case.case)
    refused = [loaded for loaded in load_rules() if loaded.name == "refused-padding"]
    if lint_graph(graph, refused)[0]:
        return False
    known = KnownSizes(graph)
    for name, array in case.arrays.items():
        if 0 in (known.size(graph.main, name, dim) for dim in range(array.ndim)):
            return False  # a window that is made up in a body
    for layer in graph.layers:
        if isinstance(layer, Window) and not isinstance(layer, ConvTranspose):
            ceil_mode = isinstance(layer, Pool) and layer.ceil_mode
            for size, axis in zip(layer.sizes, layer.axes, strict=True):
                if size is not None and output_size(size, axis, ceil_mode=ceil_mode) < 1:
                    return False
    return True


def _is_out_of_bounds(model: onnx.ModelProto) -> bool:
    """True for attributes that no 32 bits hold, and for an interface that names one thing twice."""
    graphs = [model.graph, *(a.g for node in model.graph.node for a in node.attribute)]
    nodes = [node for each in (*graphs, *model.functions) for node in each.node]
    numbers = (each for node in nodes for a in node.attribute for each in (a.i, *a.ints))
    names = [value.name for value in model.graph.input]
    return len(set(names)) < len(names) or any(abs(each) >= _LARGEST for each in numbers)


def _declares_wrongly(case: Ran) -> bool:
    """True where a declared shape is none that the tensor has: ONNX Runtime warns, and goes on."""
    symbols: dict[str, int] = {}
    graph = case.case.model.graph
    for value in (*graph.input, *graph.output, *graph.value_info):
        kind = value.type.tensor_type
        if value.name not in case.arrays or not kind.HasField("shape"):
            continue
        actual = case.arrays[value.name].shape
        if len(actual) != len(kind.shape.dim):
            return True
        for dim, size in zip(kind.shape.dim, actual, strict=True):
            stated = symbols.setdefault(dim.dim_param, size) if dim.dim_param else dim.dim_value
            if stated > 0 and stated != size:
                return True
    bodies = [a.g for node in graph.node for a in node.attribute if a.HasField("g")]
    declared = (
        value.type.tensor_type.shape for body in bodies for value in (*body.input, *body.output)
    )
    return any(shape.dim for shape in declared)  # what is in there is not seen


def _bound(case: Case) -> Graph:
    return read_graph(ModelFile.from_proto(case.model), Bindings(case.shapes, {}))


LAWS: tuple[Law, ...] = (
    is_read_without_error,
    states_sizes_that_are,
    admits_the_size_it_ran_at,
)


def faults(case: Ran) -> list[str]:
    """Everything that the case breaks, headed by the law."""
    found: list[str] = []
    for law in LAWS:
        try:
            found += [f"{law.__name__}: {what}" for what in law(case)]
        except Exception:  # noqa: BLE001 - any is a fault
            found.append(f"{law.__name__} raised\n{traceback.format_exc()}")
    return found


def asked(case: Case, loaded: LoadedRewrite, runner: Runner) -> Rewritten:
    """The case after one rewrite of all it fits.

    Raises:
        OnnxstrideError: it cannot be rewritten.
    """
    model = ModelFile.from_proto(case.model)
    plan = Plan(
        [loaded],
        named=True,
        allow=Safety.TRAINING,
        options=Options(opset=loaded.rewrite.opset),
        made_up=_few(Activations(model, None, runner)),
    )
    return rewrite_model(model, plan)


def _few(tap: Tap) -> Tap:
    """The tap with a few samples: how well a fit does is no law of these."""
    return lambda model, layer: islice(tap(model, layer), _SAMPLES)


def rewritten(case: Case, loaded: LoadedRewrite, runner: Runner) -> Rewritten | str | None:
    """The case after one rewrite of all it fits; None where it refuses, text where that broke."""
    try:
        found = asked(case, loaded, runner)
    except RuleError:
        return f"{loaded.name} failed\n{traceback.format_exc()}"
    except OnnxstrideError:
        return None
    except Exception:  # noqa: BLE001
        return f"{loaded.name} raised\n{traceback.format_exc()}"
    return found if found.changes else None


def rewrite_faults(
    case: Case, before: Ran | None, loaded: LoadedRewrite, runner: Runner
) -> list[str]:
    """What is wrong with one rewrite of a case, which was run or refused before."""
    found = rewritten(case, loaded, runner)
    if not isinstance(found, Rewritten):
        return [] if found is None else [found]
    if before is None:
        return []
    places = [f"{change.node.op_type} {change.node.name!r}" for change in found.changes]
    try:
        after = _run(complete(found.model), feeds_of(case), runner)
    except RunError as error:
        return [f"{loaded.name} at {places}: {error}"]
    is_exact = all(change.safety is Safety.EXACT for change in found.changes)
    return [f"{loaded.name} at {places}: {what}" for what in _differences(before, after, is_exact)]


def _differences(before: Ran, after: dict[str, Array], is_exact: bool) -> Iterator[str]:
    for name, one in before.outputs.items():
        other = after[name]
        if (one.shape, one.dtype) != (other.shape, other.dtype):
            yield f"{one.dtype} {one.shape} became {other.dtype} {other.shape}"
        elif is_exact and one.dtype.name in _ROUNDING and not _is_quantised(before.case.model):
            yield from _moved(before, one, other)


def _moved(before: Ran, one: Array, other: Array) -> Iterator[str]:
    floats = [array for array in before.arrays.values() if array.dtype.kind == "f" and array.size]
    if not all(np.isfinite(array).all() for array in floats) or one.size == 0:
        return  # overflown, or nothing there
    largest = max(1.0, *(float(np.abs(array).max()) for array in floats))
    error = float(np.abs(one.astype(np.float64) - other.astype(np.float64)).max())
    if not error <= _ROUNDING[one.dtype.name] * largest:
        yield f"values moved by {error:g}, where the largest is {largest:g}"


def _is_quantised(model: onnx.ModelProto) -> bool:
    """True where a rounding error may be blown up to a step of eight bits."""
    return any("Quantize" in node.op_type or "QLinear" in node.op_type for node in model.graph.node)
