"""Arithmetic on shapes against ONNX Runtime: random chains of operators on two sizes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto

from onnxstride.analysis.shape_arithmetic import Arithmetic, Ratio, Sizes, from_constant, sizes_of
from onnxstride.analysis.size_walk import SizeWalk
from onnxstride.geometry.term_values import evaluate
from onnxstride.geometry.terms import Opaque, Size, Term, Terms, cone

from ..graph.building import graph_of, law, model, node, run

SIZES = [(1, 1), (2, 5), (7, 3), (8, 8), (13, 30), (31, 64)]


class Step(NamedTuple):
    """One operator on values made before; ``of`` counts them, ``number`` is a constant."""

    op: str
    of: tuple[int, int]
    number: int


def steps() -> st.SearchStrategy[list[Step]]:
    operators = [
        "Add", "Sub", "Mul", "AddOne", "Times", "Div", "Mod", "Min", "Max", "Neg", "Half", "Up",
        "IfZero", "IfEqual", "Turn", "Product", "Sum", "IsLess",
    ]  # fmt: skip
    index = st.integers(0, 12)
    return st.lists(
        st.builds(Step, st.sampled_from(operators), st.tuples(index, index), st.integers(1, 5)),
        min_size=1,
        max_size=6,
    )


def chain(plan: list[Step]) -> onnx.ModelProto:
    """The model that computes every value of a plan from the two sizes of ``x``, and lists them."""
    nodes = [node("Shape", "x", "s"), node("Gather", "s zero", "v0"), node("Gather", "s one", "v1")]
    weights: dict[str, Any] = {"zero": np.array([0]), "one": np.array([1])}
    names = ["v0", "v1"]
    for position, step in enumerate(plan):
        a, b = (names[i % len(names)] for i in step.of)
        weights[f"n{position}"] = np.array([step.number])
        weights[f"f{position}"] = np.array([step.number], np.float32)
        nodes += _nodes(step, a, b, position)
        names.append(f"v{position + 2}")
    nodes.append(node("Concat", " ".join(names), "y", axis=0))
    return model(*nodes, inputs={"x": ["H", "W"]}, weights=weights)


def _nodes(step: Step, a: str, b: str, position: int) -> list[onnx.NodeProto]:
    number, real, out, inner = (
        f"n{position}", f"f{position}", f"v{position + 2}", f"i{position}",
    )  # fmt: skip
    match step.op:
        case "AddOne" | "Times" | "Div" | "Mod":
            op = {"AddOne": "Add", "Times": "Mul"}.get(step.op, step.op)
            return [node(op, f"{a} {number}", out)]
        case "Neg":
            return [node("Neg", a, out)]
        case "Half" | "Up":
            return [
                node("Cast", a, f"{inner}c", to=TensorProto.FLOAT),
                node("Div", f"{inner}c {real}", f"{inner}d"),
                node("Floor" if step.op == "Half" else "Ceil", f"{inner}d", f"{inner}e"),
                node("Cast", f"{inner}e", out, to=TensorProto.INT64),
            ]
        case "IfZero" | "IfEqual" | "IsLess":
            op = "Less" if step.op == "IsLess" else "Equal"
            against = {"IfZero": "zero", "IfEqual": b, "IsLess": "one"}[step.op]
            return [node(op, f"{a} {against}", inner), node("Where", f"{inner} {b} {number}", out)]
        case "Turn":
            return [
                node("Concat", f"{a} {b}", f"{inner}a", axis=0),
                node("Unsqueeze", f"{inner}a zero", f"{inner}b"),
                node("Transpose", f"{inner}b", f"{inner}c", perm=[1, 0]),
                node("Squeeze", f"{inner}c one", f"{inner}d"),
                node("Gather", f"{inner}d one", out, axis=0),
            ]
        case "Product" | "Sum":
            return [
                node("Concat", f"{a} {b}", inner, axis=0),
                node("ReduceProd" if step.op == "Product" else "ReduceSum", inner, out, keepdims=1),
            ]
        case _:
            return [node(step.op, f"{a} {b}", out)]


def entries_of(proto: onnx.ModelProto) -> tuple[SizeWalk, list[Any]]:
    """What the walk knows of the output."""
    graph = graph_of(proto)
    walk = SizeWalk(graph)
    value = walk.value(graph.main.nodes[-1], "y")
    assert value is not None
    return walk, value.flat()


def come_to(walk: SizeWalk, entries: list[Any], height: int, width: int) -> list[int | None]:
    """The entries at one pair of sizes, None for what is not followed."""
    at = {free: np.array([height if free.name == "H" else width]) for free in walk.free}
    found: list[int | None] = []
    for entry in entries:
        sizes: list[Size] = [entry] if not isinstance(entry, Ratio) else [entry.over, entry.under]
        terms = [size for size in sizes if isinstance(size, Term)]
        if isinstance(entry, Ratio) or any(isinstance(each, Opaque) for each in cone(terms)):
            found.append(None)
        else:
            found.append(int(evaluate(sizes, at)[0][0]))
    return found


@settings(law, max_examples=120)
@given(steps())
def test_entries_are_what_is_computed(plan: list[Step]) -> None:
    """Whatever is followed comes to what ONNX Runtime computes, at every pair of sizes."""
    proto = chain(plan)
    walk, entries = entries_of(proto)
    for height, width in SIZES:
        (expected,) = run(proto, {"x": np.zeros((height, width), np.float32)})
        found = come_to(walk, entries, height, width)
        assert found[:2] == [height, width]
        assert all(
            value is None or value == wanted
            for value, wanted in zip(found, expected.tolist(), strict=True)
        )


def test_most_is_followed() -> None:
    """Sums, products by numbers, quotients and extremes are all terms, not opaque."""
    plan = [
        Step("Add", (0, 1), 1), Step("Times", (2, 2), 3), Step("Div", (3, 3), 4),
        Step("Half", (4, 4), 2), Step("Up", (4, 4), 2), Step("Max", (5, 0), 1),
        Step("Sub", (0, 1), 1), Step("Div", (8, 8), 2), Step("IfZero", (0, 1), 5),
        Step("Turn", (0, 1), 1), Step("Mod", (2, 2), 3),
    ]  # fmt: skip
    walk, entries = entries_of(chain(plan))
    assert None not in come_to(walk, entries, 7, 3)
    assert come_to(walk, entries, 3, 8)[8:10] == [-5, -2]  # integers divide towards zero


def test_a_wrong_entry_is_seen() -> None:
    """The comparison accuses a quotient that was rounded the other way."""
    proto = chain([Step("Sub", (0, 1), 1), Step("Div", (2, 2), 2)])
    walk, entries = entries_of(proto)
    (expected,) = run(proto, {"x": np.zeros((3, 8), np.float32)})
    wrong = [*entries[:3], walk.program.terms.linear([(entries[2], 1)], 0, 2)]
    assert come_to(walk, entries, 3, 8) == expected.tolist()
    assert come_to(walk, wrong, 3, 8) != expected.tolist()


class TestArithmetic:
    """Single operations that models seldom show."""

    def setup_method(self) -> None:
        self.terms = Terms()
        self.x = self.terms.free("x")
        self.arithmetic = Arithmetic(self.terms)

    def test_what_cancels_is_gone(self) -> None:
        """A size over itself is 1, three times a size over the size is 3."""
        triple = self.terms.linear([(self.x, 3)])
        assert self.arithmetic.divide(self.x, self.x) == 1
        assert self.arithmetic.divide(triple, self.x) == 3
        assert self.arithmetic.divide(self.x, triple) == Ratio(1, 3)

    def test_a_ratio_of_sizes_is_not_rounded(self) -> None:
        """What float32 would make of it is anybody's guess."""
        other = self.terms.free("other")
        rounded = self.arithmetic.floor(self.arithmetic.divide(self.x, other))
        assert isinstance(rounded, Opaque)
        assert rounded.free == {self.x, other}

    @pytest.mark.parametrize(("scale", "is_followed"), [(1.5, True), (7 / 3, False)])
    def test_a_scale_is_rounded_where_float32_agrees(self, scale: float, is_followed: bool) -> None:
        """A size times 1.5 is exact; times 7/3 it is not, so it is not followed."""
        constant = from_constant(np.array([scale], np.float32))
        assert constant is not None
        (factor,) = constant.flat()
        rounded = self.arithmetic.floor(self.arithmetic.multiply(self.x, factor))
        assert isinstance(rounded, Opaque) != is_followed

    def test_a_division_by_zero_is_opaque(self) -> None:
        """Runtimes have their own opinion of it."""
        assert isinstance(self.arithmetic.divide(self.x, 0), Opaque)

    def test_large_tensors_and_text_are_left_alone(self) -> None:
        """Only small tensors of numbers are followed."""
        assert from_constant(np.zeros(1000)) is None
        assert from_constant(np.array(["a"])) is None
        assert from_constant(np.array([np.inf])) is None
        assert sizes_of([1, self.x]).flat() == [1, self.x]
        assert isinstance(from_constant(np.array(3)), Sizes)
