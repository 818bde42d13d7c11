"""Resizes said in another way give the same bits; antialiased ones read every element."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from onnxstride.engine.changes import Change, Plan, Rewritten
from onnxstride.engine.delivery import NotProven, deliver
from onnxstride.engine.lint import lint_graph
from onnxstride.engine.rewriting import rewrite_model
from onnxstride.graph import read_graph
from onnxstride.modelfile import open_model, parse_text
from onnxstride.registry import load_rewrites, load_rules
from onnxstride.rewrite import Options
from onnxstride.verify import SiteCase, VerifyOptions, verify_site

from .comparing import differences
from .pools import law
from .running import Session, refusals, rewritten, run, signal, whole
from .test_node_tests import every_node_test, wrong

UP = "upsample-to-resize"
SHRINKS = "nearest neighbours in a map that shrinks, on which runtimes differ"
REFUSED_SHRINKING = "it asks Upsample to shrink the map, which runtimes refuse"


@dataclass(frozen=True, slots=True)
class Old:
    """Upsample of opset 7 or 9, or Resize of opset 10, sizes declared unless ``dynamic``."""

    op_type: str
    opset: int
    mode: str
    scales: tuple[float, ...]
    dtype: str
    dynamic: bool


@st.composite
def olds(draw: st.DrawFn) -> Old:
    op_type, opset = draw(st.sampled_from([("Upsample", 7), ("Upsample", 9), ("Resize", 10)]))
    scales = st.sampled_from([1.0, 1.25, 1.5, 2.0, 2.3, 3.0, 4.0, 0.5, 0.25, 0.75])
    rank = draw(st.integers(1, 3))
    return Old(
        op_type,
        opset,
        draw(st.sampled_from(["nearest", "linear"])),
        tuple(draw(scales) for _ in range(rank)),
        draw(st.sampled_from(["float32", "float32", "float16", "uint8", "int8", "int32"])),
        draw(st.booleans()),
    )


def old_of(case: Old, size: int = 7) -> onnx.ModelProto:
    """The node ``up`` between ``x`` and ``y``."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(case.dtype))
    scales = [1.0, 1.0, *case.scales]
    sizes = [f"s{i}" if case.dynamic else size for i in range(len(case.scales))]
    stated: dict[str, Any] = {"mode": case.mode}
    inputs, constants = ["x"], []
    if case.opset < 9:
        stated["scales"] = scales
    else:
        inputs.append("scales")
        constants.append(numpy_helper.from_array(np.array(scales, np.float32), "scales"))
    graph = helper.make_graph(
        [helper.make_node(case.op_type, inputs, ["y"], name="up", **stated)],
        "one_resize",
        [helper.make_tensor_value_info("x", kind, [1, 2, *sizes])],
        [helper.make_tensor_value_info("y", kind, None)],
        constants,
    )
    opsets = [helper.make_opsetid("", case.opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=4)


def refusal_of(case: Old) -> str:
    """Why it stays; empty when it does not."""
    shrinking = [scale for scale in case.scales if scale < 1]
    if case.op_type == "Upsample":
        return REFUSED_SHRINKING if shrinking else ""
    return SHRINKS if case.mode == "nearest" and 0.75 in shrinking else ""


class TestUpsample:
    """upsample-to-resize."""

    @pytest.mark.parametrize("opset", [13, 18, 22])
    def test_every_spelling(self, opset: int) -> None:
        """The same bits in every newer operator set, or refused for a reason."""
        reasons: set[str] = set()

        @law
        @given(case=olds())
        def holds(case: Old) -> None:
            before = old_of(case)
            result = rewritten(before, UP, opset=opset)
            reason = "" if result.changes else result.declined[0].reason
            assert reason == refusal_of(case)
            reasons.add(reason)
            if result.changes:
                assert versions(result.model.proto) == [opset]
                self.check(case, before, result.model.proto)

        holds()
        assert reasons == {"", SHRINKS, REFUSED_SHRINKING}

    def check(self, case: Old, before: onnx.ModelProto, after: onnx.ModelProto) -> None:
        old, new = Session(before), Session(after)
        for size in (4, 5, 7) if case.dynamic else (7,):
            x = {"x": signal((1, 2, *[size] * len(case.scales)), case.dtype, size)}
            try:
                (expected,) = old.run(x)
            except refusals():
                with pytest.raises(refusals()):
                    new.run(x)  # linear in three dimensions, of some types
                continue
            (found,) = new.run(x)
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)

    def test_a_rounded_place_is_noticed(self) -> None:
        """Rounding up instead of down moves pixels."""
        case = Old("Upsample", 9, "nearest", (2.0, 2.0), "float32", dynamic=True)
        before = old_of(case)
        after = rewritten(before, UP, opset=13).model.proto
        for attribute in after.graph.node[0].attribute:
            if attribute.name == "nearest_mode":
                attribute.s = b"ceil"
        with pytest.raises(AssertionError):
            self.check(case, before, after)

    def test_what_runtimes_differ_on(self) -> None:
        """Shrunk by 2/3 ONNX Runtime reads another element than floor would."""
        case = Old("Resize", 10, "nearest", (0.75,), "float32", dynamic=True)
        before = old_of(case)
        after = rewritten(old_of(replace(case, mode="linear")), UP, opset=13).model.proto
        for attribute in after.graph.node[0].attribute:
            if attribute.name == "mode":
                attribute.s = b"nearest"
        with pytest.raises(AssertionError):
            self.check(case, before, after)

    def test_the_rest_stays(self) -> None:
        """Name, words and scales of the node are what they were, and so is all else of the file."""
        before = old_of(Old("Upsample", 9, "linear", (2.0, 2.0), "float32", dynamic=True))
        before.graph.node[0].doc_string = "kept"
        result = rewritten(before, UP, opset=13)
        after = result.model.proto
        (node,) = after.graph.node
        assert (node.op_type, node.name, node.doc_string) == ("Resize", "up", "kept")
        assert list(node.input) == ["x", "", "scales"]
        assert after.graph.initializer == before.graph.initializer
        assert differences(before, after, result.changes) == []

    def test_each_alone(self) -> None:
        """The cut-out models are of the old and of the new operator set, and agree."""
        before = old_of(Old("Resize", 10, "linear", (1.5, 2.0), "float32", dynamic=True))
        (change,) = rewritten(before, UP, opset=15).changes
        assert change.figures == {"opset": 15}
        cutout = change.cutout
        assert cutout is not None
        assert versions(cutout.old) == [10]
        assert versions(cutout.new) == [15]
        case = SiteCase(cutout.before, cutout.after, change.node, change.rewrite, change.safety)
        assert verify_site(case)

    def test_the_node_tests(self) -> None:
        """The Upsample of the onnx package's tests gives its reference output."""
        cases = [case for case in every_node_test() if _has(case.model, "Upsample")]
        for case in cases:
            result = rewritten(case.model, UP, opset=13)
            assert not _has(result.model.proto, "Upsample")
            assert list(wrong(case, result.model.proto)) == []
        assert [case.name for case in cases] == ["test_upsample_nearest"]

    def test_resizes_of_the_node_tests(self) -> None:
        """All the others state their coordinates."""
        cases = [case for case in every_node_test() if _has(case.model, "Resize")]
        for case in cases:
            result = rewritten(case.model, UP, opset=22)
            assert {each.reason for each in result.declined} == {"it states its coordinates"}
        assert len(cases) >= 30


def _has(model: onnx.ModelProto, op_type: str) -> bool:
    return any(node.op_type == op_type for node in model.graph.node)


def versions(model: onnx.ModelProto) -> list[int]:
    """Versions of the default operator set, the model's and those of its functions."""
    bodies: list[Any] = [model, *model.functions]
    return [each.version for body in bodies for each in body.opset_import if not each.domain]


TWO = """
    <ir_version: 4, opset_import: ["": 9]>
    net (float[1,2,H,W] x) => (float[1,2,P,Q] y) <float[4] scales = {1, 1, 2, 2}> {
        [first] a = Upsample (x, scales)
        [between] b = %s (a)
        [second] y = Upsample <mode = "linear"> (b, scales)
    }"""
NEEDS = "it needs opset 13 and the model has 9; --opset 13 lets it rise"


def told(result: Rewritten) -> list[str]:
    """Why sites were left alone."""
    return [each.reason for each in result.declined]


class TestRaising:
    """What happens to the operator set, or does not."""

    def test_together(self) -> None:
        """All sites are rewritten at once, and the import is raised."""
        before = parse_text(TWO % "Relu").proto
        result = rewritten(before, UP, opset=13)
        assert [change.node.name for change in result.changes] == ["first", "second"]
        assert versions(result.model.proto) == [13]
        x = {"x": signal((1, 2, 3, 4))}
        np.testing.assert_array_equal(run(result.model.proto, x)[0], run(before, x)[0])

    @pytest.mark.parametrize(
        ("options", "between", "reason"),
        [
            pytest.param({}, "Relu", NEEDS, id="never without being asked"),
            pytest.param(
                {"opset": 12}, "Relu", "it needs opset 13, more than --opset 12 allows",
                id="not so far",
            ),
            pytest.param(
                {"opset": 999}, "Relu",
                f"--opset 999 is newer than {onnx.defs.onnx_opset_version()}, the newest that the "
                f"installed onnx knows",
                id="further than onnx knows",
            ),
            pytest.param(
                {"opset": 13}, "Clip <min = 0.0>",
                "not known to mean the same in opset 13: Clip 'between'",
                id="another node in the way",
            ),
            pytest.param(
                {"opset": 13, "nodes": "first"}, "Relu",
                "not known to mean the same in opset 13: Upsample 'second'",
                id="a site that is not meant",
            ),
        ],
    )  # fmt: skip
    def test_not_at_all(self, options: dict[str, Any], between: str, reason: str) -> None:
        """Otherwise every site says why, and not a byte is changed."""
        before = parse_text(TWO % between)
        expected = before.proto.SerializeToString(deterministic=True)
        result = rewritten(before, UP, **options)
        assert set(told(result)) == {reason}
        assert result.model.proto.SerializeToString(deterministic=True) == expected

    def test_a_site_that_is_refused_is_in_the_way(self) -> None:
        """Its own reason is told of it, and the other names it."""
        before = parse_text("""
            <ir_version: 5, opset_import: ["": 10]>
            net (float[1,2,8,8] x) => (float[1,2,12,12] y)
            <float[4] up = {1, 1, 2, 2}, float[4] down = {1, 1, 0.75, 0.75}> {
                [first] a = Resize (x, up)
                [second] y = Resize (a, down)
            }""")
        assert told(rewritten(before, UP, opset=13)) == [
            SHRINKS, "not known to mean the same in opset 13: Resize 'second'",
        ]  # fmt: skip

    def test_names_are_not_used_up(self) -> None:
        """What was built for nothing leaves no gap in the names of what comes after."""
        text = """
            <ir_version: 4, opset_import: ["": 7]>
            net (float[1,2,8,8] x) => (float[1,2,16,16] y) <float[2,2,3,3] w> {
                [first] a = Upsample <scales = [1.0, 1.0, 2.0, 2.0]> (x)
                [between] b = Clip <min = 0.0> (a)
                [down] c = Conv <strides = [2,2], pads = [1,1,1,1]> (b, w)
                [second] y = Upsample <scales = [1.0, 1.0, 2.0, 2.0]> (c)
            }"""
        both = rewritten(parse_text(text), UP, "conv-to-space-to-depth", opset=13)
        alone = rewritten(parse_text(text), "conv-to-space-to-depth")
        assert both.model.proto.graph == alone.model.proto.graph

    def test_others_build_for_the_new_set(self) -> None:
        """What is rewritten besides reads its operands as the raised set wants them."""
        before = parse_text("""
            <ir_version: 4, opset_import: ["": 9]>
            net (float[1,2,9,9] x) => (float[1,2,10,10] y)
            <float[2,2,3,3] w, float[4] f = {1, 1, 2, 2}> {
                [down] c = Conv <strides = [2,2], pads = [1,1,1,1]> (x, w)
                [up] y = Upsample (c, f)
            }""")
        result = rewritten(before, "conv-to-space-to-depth", UP, opset=13)
        assert len(result.changes) == 2
        (pad,) = [node for node in result.model.proto.graph.node if node.op_type == "Pad"]
        assert len(pad.input) == 2
        onnx.checker.check_model(whole(result.model), full_check=True)

    def test_functions_and_bodies(self) -> None:
        """Sites in a function, and in a branch, rise with the model."""
        before = parse_text("""
            <ir_version: 8, opset_import: ["": 10, "local": 1]>
            net (float[1,2,3,4] x, bool big) => (float y) <float[4] f = {1, 1, 2, 2}> {
                a = local.grow (x, f)
                y = If (big) <then_branch = one () => (float b) { b = Resize (a, f) },
                              else_branch = two () => (float c) { d = Neg (a) c = Resize (d, f) }>
            }
            <domain: "local", opset_import: ["": 10]>
            grow (m, s) => (n) { n = Resize <mode = "linear"> (m, s) }""")
        result = rewritten(before, UP, opset=13)
        assert sorted(len(change.node.scope) for change in result.changes) == [1, 1, 1]
        assert versions(result.model.proto) == [13, 13]
        for big in (True, False):
            x = {"x": signal((1, 2, 3, 4)), "big": np.array(big)}
            found, expected = run(result.model.proto, x)[0], run(whole(before), x)[0]
            np.testing.assert_array_equal(found, expected)

    def test_findings_lead_there(self) -> None:
        """A legacy node that a rule complains of is mended, or says what it needs."""
        rules = [rule for rule in load_rules() if rule.code == "BD307"]
        model = parse_text(TWO % "Relu")
        assert set(told(rewrite_model(model, Plan(load_rewrites(), rules)))) == {NEEDS}
        raised = rewrite_model(model, Plan(load_rewrites(), rules, options=Options(opset=13)))
        assert len(raised.changes) == 2
        assert raised.declined == ()


class TestAntialiased:
    """resize-to-antialiased."""

    NAME = "resize-to-antialiased"
    HALF = """
        <ir_version: 8, opset_import: ["": {opset}]>
        net (float[1,1,W] x) => (float[1,1,Q] y) <float[3] scales = {{1, 1, 0.5}}> {{
            y = Resize <mode = "linear", coordinate_transformation_mode = "{coordinates}">
                (x, , scales)
        }}"""

    @pytest.mark.parametrize(
        ("coordinates", "taps"), [("half_pixel", [1, 3, 3, 1]), ("asymmetric", [1, 2, 1])]
    )
    @pytest.mark.parametrize("opset", [13, 18, 22])
    def test_the_filter(self, opset: int, coordinates: str, taps: list[int]) -> None:
        """Inside the map a half is the binomial filter of four taps, or of three."""
        before = parse_text(self.HALF.format(opset=opset, coordinates=coordinates)).proto
        result = rewritten(before, self.NAME, opset=18)
        after = result.model.proto
        assert versions(after) == [max(opset, 18)]
        assert differences(before, after, result.changes) == []
        x = signal((1, 1, 32))
        (found,) = run(after, {"x": x})
        assert found.shape == run(before, {"x": x})[0].shape
        taps_of_one = np.array(taps) / sum(taps)
        windows = np.lib.stride_tricks.sliding_window_view(x[0, 0], len(taps))[1::2]
        expected = windows @ taps_of_one
        np.testing.assert_allclose(found[0, 0, 1:15], expected[:14], atol=1e-5)

    @pytest.mark.parametrize("case", ["linear", "cubic"])
    def test_the_fine_pattern_is_gone(self, case: str) -> None:
        """What changes from pixel to pixel comes out even, where it did not."""
        before = parse_text(f"""
            net (float[1,1,32,32] x) => (float[1,1,8,8] y) <int64[4] sizes = {{1, 1, 8, 8}}> {{
                y = Resize <mode = "{case}", coordinate_transformation_mode = "asymmetric">
                    (x, , , sizes)
            }}""").proto
        after = rewritten(before, self.NAME).model.proto
        x = {"x": np.indices((32, 32)).sum(axis=0).astype(np.float32)[None, None] % 2}
        assert run(before, x)[0].mean() == pytest.approx(0.0, abs=1e-6)
        inner = run(after, x)[0][..., 2:-2, 2:-2]
        np.testing.assert_allclose(inner, 0.5, atol=0.01)


SKIP = "resize-to-skip-size"


def pyramid(merge: str, *, scale: int = 2, mode: str = "nearest", opset: int = 13) -> str:
    """A map pooled, enlarged again and merged with itself."""
    roi = ", float[0] none" if opset < 13 else ""
    empty = "none" if opset < 13 else ""
    return f"""
        <ir_version: 7, opset_import: ["": {opset}]>
        net (float[N,2,H,W] x) => (float[N,C,P,Q] y)
        <float[4] scales = {{1, 1, {scale}, {scale}}}, float[2,2,3,3] w{roi}> {{
            [lateral] s = Conv <pads = [1,1,1,1]> (x, w)
            [down] p = Conv <strides = [{scale},{scale}], pads = [1,1,1,1]> (s, w)
            [up] u = Resize <mode = "{mode}"> (p, {empty}, scales)
            [out] r = Relu (u)
            [merge] y = {merge}
        }}"""


class TestSkipSize:
    """resize-to-skip-size."""

    @pytest.mark.parametrize("opset", [11, 13, 18, 22])
    @pytest.mark.parametrize("mode", ["nearest", "linear"])
    @pytest.mark.parametrize("scale", [2, 3])
    @pytest.mark.parametrize("merge", ["Add (r, s)", "Concat <axis = 1> (s, r)", "Mul (s, u)"])
    def test_every_size(self, merge: str, scale: int, mode: str, opset: int) -> None:
        """The same bits wherever the model ran before, and an answer everywhere else."""
        before = whole(parse_text(pyramid(merge, scale=scale, mode=mode, opset=opset)))
        result = rewritten(before, SKIP)
        assert len(result.changes) == 1, result.declined
        assert differences(before, result.model.proto, result.changes) == []
        old, new = Session(before), Session(result.model.proto)
        outcomes: set[bool] = set()
        for height, width in ((1, 1), (1, 7), (2, 2), (6, 12), (7, 9), (8, 5), (9, 3)):
            x = signal((2, 2, height, width))
            (found,) = new.run({"x": x})
            try:
                (expected,) = old.run({"x": x})
            except refusals():
                outcomes.add(False)
                wanted = zip(found.shape[2:], (height, width), strict=True)
                assert all(size in (found, 1) for found, size in wanted)
                continue
            outcomes.add(True)
            np.testing.assert_array_equal(found, expected)
        assert outcomes == {True, False}

    def test_a_single_element_is_repeated_as_before(self) -> None:
        """Without keeping the old size there, an Add that repeats one element would change."""
        before = whole(parse_text(pyramid("Add (r, s)")))
        after = rewritten(before, SKIP).model.proto
        x = {"x": signal((1, 2, 1, 1))}
        assert run(before, x)[0].shape == run(after, x)[0].shape == (1, 2, 2, 2)
        (where,) = [node for node in after.graph.node if node.op_type == "Where"]
        where.op_type = "Identity"
        where.input[:] = where.input[2:]
        assert run(after, x)[0].shape == (1, 2, 1, 1)

    def test_wherever_the_size_is_known(self) -> None:
        """A branch made later in the file has the size of what it is made from."""
        before = parse_text("""
            net (float[N,2,H,W] x) => (float[N,2,P,Q] y)
            <float[4] scales = {1, 1, 2, 2}, float[2,2,1,1] w, float[2,2,2,2] v> {
                p = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)
                u = Resize (p, , scales)
                s = Conv (x, w)
                t = Tanh (s)
                y = Add (t, u)
            }""")
        (change,) = rewritten(before, SKIP).changes
        assert change.figures == {"size_of": "x"}

    def test_rather_one_that_is_not_resized_itself(self) -> None:
        """Of several maps that meet, the one whose size nothing was done about."""
        text = """
            net (float[N,2,H,W] x) => (float[N,6,P,Q] y)
            <float[4] twice = {1, 1, 2, 2}, float[4] four = {1, 1, 4, 4}> {
                s = Relu (x)
                p = MaxPool <kernel_shape = [2,2], strides = [2,2]> (s)
                q = MaxPool <kernel_shape = [2,2], strides = [2,2]> (p)
                [one] u = Resize (p, , twice)
                [two] v = Resize (q, , four)
                y = Concat <axis = 1> (u, v, %s)
            }"""
        chosen = rewritten(parse_text(text % "s"), SKIP).changes
        assert [change.figures["size_of"] for change in chosen] == ["s", "s"]
        result = rewritten(parse_text(text % "u"), SKIP)
        assert [change.figures["size_of"] for change in result.changes] == ["u"]
        assert told(result) == ["what it meets is computed later in the file"]
        onnx.checker.check_model(whole(result.model), full_check=True)

    def test_it_is_proven_as_a_whole(self) -> None:
        """Alone a site says nothing, and sizes that are new are no difference."""
        (change,) = rewritten(parse_text(pyramid("Add (r, s)")), SKIP).changes
        assert isinstance(change, Change)
        assert change.cutout is None
        assert change.uncut.startswith("its size is that of a map elsewhere")
        assert change.widens

    def test_places_where_maps_meet_lead_there(self) -> None:
        """Sizes that do not fit are found at the merge, and mended where the map is resized."""
        rules = [rule for rule in load_rules() if rule.code == "SZ401"]
        model = parse_text(pyramid("Concat <axis = 1> (s, r)"))
        assert lint_graph(read_graph(model), rules)[0]
        result = rewrite_model(model, Plan(load_rewrites(), rules))
        assert [(change.node.name, change.rewrite) for change in result.changes] == [("up", SKIP)]
        assert lint_graph(read_graph(result.model), rules)[0] == []

    def test_it_is_delivered(self, tmp_path: Path) -> None:
        """New sizes are passed over; where a rewrite is not to bring any, they fail it."""
        source = tmp_path / "before.onnx"
        onnx.save(whole(parse_text(pyramid("Concat <axis = 1> (s, r)"))), source)
        with open_model(source) as model:
            result = rewritten(model, SKIP)
            proof = deliver(source, result, tmp_path / "after.onnx", options=VerifyOptions())
            assert proof is not None
            assert proof.holds
            assert any("H=33" in sizes for sizes in proof.whole.passed_over)
            narrow = tuple(replace(change, widens=False) for change in result.changes)
            with pytest.raises(NotProven):
                deliver(
                    source,
                    replace(result, changes=narrow),
                    tmp_path / "other.onnx",
                    options=VerifyOptions(),
                )
        assert not (tmp_path / "other.onnx").exists()

    def test_a_swapped_axis_is_noticed(self) -> None:
        """Height for width is another function."""
        before = whole(parse_text(pyramid("Concat <axis = 1> (s, r)")))
        after = rewritten(before, SKIP).model.proto
        (places,) = [each for each in after.graph.initializer if "sizes_places" in each.name]
        swapped = numpy_helper.to_array(places)[[0, 1, 3, 2]]
        places.CopyFrom(numpy_helper.from_array(swapped, places.name))
        with pytest.raises(refusals()):
            run(after, {"x": signal((1, 2, 8, 6))})
