"""Exact rewrites of transposed and sub-pixel convolutions compute what those computed."""

from dataclasses import dataclass, replace

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from onnxstride.geometry import Axis, is_even
from onnxstride.geometry.ripple import ripple_db
from onnxstride.modelfile import parse_text

from .comparing import differences
from .deconvs import Deconv, deconv_of, deconvs, fitted
from .pools import law
from .running import Array, Session, refusals, rewritten, run, signal, whole

SHARE = {"float32": 1e-6, "float16": 2.0**-9}
"""How far values may be apart, as a share of the largest."""

SMALL_SAME = "runtimes differ on SAME with a kernel smaller than its stride"
PADS_TOO_MUCH = "its convolution pads by more than its kernel reaches"
BEYOND = "runtimes refuse an output that reaches a stride beyond the last tap"


def outcome(before: onnx.ModelProto, name: str) -> tuple[onnx.ModelProto | None, str]:
    """The rewritten model, or why there is none."""
    result = rewritten(before, name)
    if result.changes:
        return result.model.proto, ""
    (declined,) = result.declined
    return None, declined.reason


def compare(
    case: Deconv, after: onnx.ModelProto, *, share: float | None = None, level: str = "DISABLE_ALL"
) -> None:
    """Fails unless shapes are equal, and values within a share of the largest, at every size."""
    old, new = Session(deconv_of(case)), Session(after, level)
    share = SHARE[case.dtype] if share is None else share
    for seed, size in enumerate(case.sizes()):
        x = signal((1 + seed % 2, case.group * case.read, *size), case.dtype, seed)
        (expected,), (found,) = old.run({"x": x}), new.run({"x": x})
        assert found.shape == expected.shape, size
        assert found.dtype == expected.dtype
        assert_near(found, expected, share)


def assert_near(found: Array, expected: Array, share: float) -> None:
    """Fails where values are further apart than a share of the largest, and for no number."""
    bound = share * float(np.abs(expected).max())
    apart = np.abs(found.astype(np.float64) - expected.astype(np.float64))
    assert np.all(apart <= bound), f"{apart.max()} exceeds {bound}"


def refusal_of(case: Deconv) -> str:
    """Why a transposed convolution cannot be rewritten; empty when it can."""
    is_same = case.auto_pad.startswith("SAME") and case.asked is None
    if is_same and any(axis.begin + axis.end < 0 for axis in case.window):
        return SMALL_SAME
    return ""


@law
@given(case=deconvs())
def test_subpixel(case: Deconv) -> None:
    """Phases side by side are the transposed convolution, whatever its window, at every size."""
    after, reason = outcome(deconv_of(case), "deconv-to-subpixel")
    assert reason == refusal_of(case)
    if after is not None:
        assert not {node.op_type for node in after.graph.node} & {"ConvTranspose"}
        compare(case, after)
        compare(case, after, share=4 * SHARE[case.dtype], level="ENABLE_ALL")


@law
@given(case=deconvs())
def test_padded_kernel(case: Deconv) -> None:
    """Zero taps change nothing, or every phase had as many taps before."""
    after, reason = outcome(deconv_of(case), "deconv-pad-kernel")
    if all(map(is_even, case.axes)):
        assert reason == "every phase has as many taps as the next"
    else:
        assert reason == refusal_of(case)
    if after is not None:
        compare(case, after)


def test_zero_taps_change_no_bit() -> None:
    """Whatever the size, where the runtime has more than one row and column to add up."""
    case = Deconv((Axis(3, 2, begin=1, end=1),) * 2, (1, 1), (4, 5), (True, True), read=9)
    after, _ = outcome(deconv_of(case), "deconv-pad-kernel")
    assert after is not None
    compare(case, after, share=0)


@pytest.mark.parametrize("name", ["deconv-to-subpixel", "deconv-pad-kernel"])
def test_sizes_asked_for(name: str) -> None:
    """What ONNX Runtime gives is kept; what it refuses is refused, or refused as before."""
    outcomes: set[tuple[bool, bool]] = set()

    @law
    @given(case=fitted())
    def holds(case: Deconv) -> None:
        before = deconv_of(case)
        after, reason = outcome(before, name)
        x = {"x": signal((1, case.group * case.read, *case.size), case.dtype)}
        try:
            (expected,) = run(before, x)
        except refusals():
            outcomes.add((after is not None, False))
            return
        outcomes.add((after is not None, True))
        assert reason in ("", BEYOND, "every phase has as many taps as the next")
        if after is not None:
            (found,) = run(after, x)
            assert found.shape == expected.shape
            assert_near(found, expected, SHARE[case.dtype])

    holds()
    assert outcomes >= {(True, True), (False, False)}


def inside(axis: Axis) -> Axis:
    """The window undilated, its padding no more than its kernel reaches."""
    most = axis.kernel - 1
    return Axis(axis.kernel, axis.stride, 1, min(axis.begin, most), min(axis.end, most))


@law
@given(case=deconvs())
def test_there_and_back(case: Deconv) -> None:
    """What became phases becomes a transposed convolution again, of the same values."""
    all_open = (True,) * len(case.axes)
    case = replace(case, axes=tuple(map(inside, case.axes)), auto_pad="NOTSET", open=all_open)
    phases, reason = outcome(deconv_of(case), "deconv-to-subpixel")
    assert phases is not None, reason
    result = rewritten(phases, "subpixel-to-deconv")
    if all(axis.stride == 1 for axis in case.axes):
        assert not result.changes + result.declined  # nothing was shuffled
        return
    tails = [op > axis.end for op, axis in zip(case.output_padding, case.axes, strict=True)]
    reasons = {each.reason for each in result.declined}
    assert not reasons or (any(tails) and reasons == {PADS_TOO_MUCH}), reasons
    if result.changes:
        compare(case, result.model.proto, share=4 * SHARE[case.dtype])


@dataclass(frozen=True, slots=True)
class Subpixel:
    """A convolution and the shuffle of its channels: DCR, CRD, or CRD along one axis in words."""

    kernel: int
    begin: int
    end: int
    block: int
    mode: str
    group: int
    biases: str

    @property
    def rank(self) -> int:
        return 1 if self.mode == "words" else 2


@st.composite
def subpixels(draw: st.DrawFn) -> Subpixel:
    """Sub-pixel convolutions, the phases of some with biases of their own."""
    kernel = draw(st.integers(1, 4))
    mode = draw(st.sampled_from(["DCR", "CRD", "words"]))
    pads = st.integers(0, kernel)
    return Subpixel(
        kernel,
        draw(pads),
        draw(pads),
        draw(st.integers(2, 3)),
        mode,
        1 if mode == "DCR" else draw(st.integers(1, 2)),
        draw(st.sampled_from(["none", "equal", "equal", "unequal"])),
    )


def subpixel_of(case: Subpixel) -> onnx.ModelProto:
    """The convolution of ``x``, two channels a group, to ``y``, three channels a group."""
    written, phases = 3 * case.group, case.block**case.rank
    channels, sizes = 2 * case.group, ["L"] if case.rank == 1 else ["H", "W"]
    shuffle = f'y = DepthToSpace <blocksize = {case.block}, mode = "{case.mode}"> (c)'
    if case.rank == 1:
        shuffle = """s = Reshape (c, split)
            t = Transpose <perm = [0,1,3,2]> (s)
            y = Reshape (t, joined)"""
    pads = [case.begin] * case.rank + [case.end] * case.rank
    bias = "" if case.biases == "none" else ", b"
    larger = ",".join(f"{size}y" for size in sizes)
    model = parse_text(f"""
        <ir_version: 8, opset_import: ["": 13]>
        net (float[N,{channels},{",".join(sizes)}] x) => (float[N,{written},{larger}] y)
        <int64[4] split = {{0,{written},{case.block},-1}}, int64[3] joined = {{0,{written},-1}}> {{
            c = Conv <pads = {pads}, group = {case.group}> (x, w{bias})
            {shuffle}
        }}""").proto
    kernel = (case.kernel,) * case.rank
    biases = signal((written, phases), seed=8)
    if case.biases == "equal":
        biases[:] = biases[:, :1]
    weights = {
        "w": signal((written * phases, 2, *kernel), seed=7),
        "b": (biases.T if case.mode == "DCR" else biases).reshape(-1),
    }
    model.graph.initializer.extend(
        numpy_helper.from_array(values, name) for name, values in weights.items()
    )
    return model


def reason_against(case: Subpixel) -> str:
    """Why there is no such transposed convolution; empty when there is."""
    if max(case.begin, case.end) >= case.kernel:
        return PADS_TOO_MUCH
    if case.biases == "unequal":
        return "its phases have biases of their own, and a ConvTranspose has one for all"
    return ""


@law
@given(case=subpixels())
def test_deconv(case: Subpixel) -> None:
    """A transposed convolution is the sub-pixel one, at every size, or is refused."""
    before = subpixel_of(case)
    after, reason = outcome(before, "subpixel-to-deconv")
    assert reason == reason_against(case)
    if after is None:
        return
    assert [node.op_type for node in after.graph.node] == ["ConvTranspose"]
    least = max(1, case.kernel - case.begin - case.end)
    old, new = Session(before), Session(after)
    for more in (0, 1, 4):
        x = {"x": signal((2, 2 * case.group, least + more, least + 3)[: 2 + case.rank], seed=more)}
        (expected,), (found,) = old.run(x), new.run(x)
        assert found.shape == expected.shape
        assert_near(found, expected, SHARE["float32"])


FOUR = Deconv((Axis(4, 2, begin=1, end=1),) * 2, (0, 0), (5, 6), (True, True))
"""The textbook layer."""
WORDS = ["Conv", "Reshape", "Transpose", "Reshape"]
COMPUTED = [*WORDS, "Shape", "Gather", "Concat", "Mul", "Concat"]


@pytest.mark.parametrize("opset", [7, 9, 10, 11, 13, 21])
def test_spelling(opset: int) -> None:
    """Each operator set has its own: DCR before 11, attributes for inputs before 10."""
    case = replace(FOUR, opset=opset)
    after, _ = outcome(deconv_of(case), "deconv-to-subpixel")
    assert after is not None
    assert [node.op_type for node in after.graph.node] == ["Conv", "DepthToSpace", "Slice"]
    _, shuffle, crop = after.graph.node
    modes = [each.s for each in shuffle.attribute if each.name == "mode"]
    assert modes == ([b"CRD"] if opset >= 11 else [])
    assert len(crop.input) == (4 if opset >= 10 else 1)
    compare(case, after)


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        pytest.param(replace(FOUR, opset=9, group=2), [*COMPUTED, "Slice"], id="groups before 11"),
        pytest.param(
            Deconv((Axis(2, 2), Axis(3, 3)), (0, 0), (5, 6), (True, True)),
            COMPUTED,
            id="unequal strides, open sizes",
        ),
        pytest.param(
            Deconv((Axis(2, 2), Axis(3, 3)), (0, 0), (5, 6), (True, False)),
            WORDS,
            id="unequal strides, one size open",
        ),
        pytest.param(Deconv((Axis(2, 2),), (0,), (5,), (True,)), WORDS, id="one dimension"),
        pytest.param(
            Deconv((Axis(2, 2),) * 3, (0,) * 3, (5, 6, 7), (False,) * 3), WORDS, id="a volume"
        ),
        pytest.param(Deconv((Axis(3),) * 2, (0, 0), (5, 6), (True, True)), ["Conv"], id="stride 1"),
        pytest.param(
            Deconv((Axis(4),) * 2, (0, 0), (1, 1), (False, False)),
            ["Conv", "DepthToSpace"],
            id="one element",
        ),
    ],
)
def test_operators(case: Deconv, expected: list[str]) -> None:
    """No node more than the shapes ask for, and the same values."""
    after, _ = outcome(deconv_of(case), "deconv-to-subpixel")
    assert after is not None
    assert sorted(node.op_type for node in after.graph.node) == sorted(expected)
    compare(case, after)


@pytest.mark.parametrize(
    ("read", "form", "kernel", "crop"),
    [(1, "aligned", [3, 3], [0, 0, 0, 0]), (32, "cropped", [2, 2], [1, 1, 1, 1])],
)
def test_the_form_is_told(read: int, form: str, kernel: list[int], crop: list[int]) -> None:
    """The figures name the cheaper form, its kernel, its crop, and the ripple that stays."""
    before = deconv_of(replace(FOUR, read=read))
    (change,) = rewritten(before, "deconv-to-subpixel").changes
    weight = numpy_helper.to_array(before.graph.initializer[0])
    told = {"form": form, "kernel": kernel, "crop": crop}
    assert change.figures == {**told, "kept_ripple_db": ripple_db(weight, FOUR.axes)}


@pytest.mark.parametrize(("op_type", "attribute"), [("DepthToSpace", "mode"), ("Conv", "pads")])
def test_a_missing_attribute_is_noticed(op_type: str, attribute: str) -> None:
    """Phases in another order, or no padding: the comparison fails."""
    after, _ = outcome(deconv_of(FOUR), "deconv-to-subpixel")
    assert after is not None
    compare(FOUR, after)
    (node,) = [node for node in after.graph.node if node.op_type == op_type]
    kept = [each for each in node.attribute if each.name != attribute]
    del node.attribute[:]
    node.attribute.extend(kept)
    with pytest.raises((AssertionError, *refusals())):
        compare(FOUR, after)


THREE = Deconv((Axis(3, 2),) * 2, (0, 0), (5, 6), (True, True))
MODELS = {
    "deconv-to-subpixel": deconv_of(THREE),
    "deconv-pad-kernel": deconv_of(THREE),
    "subpixel-to-deconv": subpixel_of(Subpixel(3, 1, 1, 2, "CRD", 1, "equal")),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_wrong_tap_is_noticed(name: str) -> None:
    """One weight that moves by a ten-thousandth fails."""
    before = MODELS[name]
    after, _ = outcome(before, name)
    assert after is not None
    x = {"x": signal((1, 2, 6, 5))}
    (expected,) = run(before, x)
    assert_near(run(after, x)[0], expected, SHARE["float32"])
    (weight,) = [each for each in after.graph.initializer if each.name.endswith("/weight")]
    values = numpy_helper.to_array(weight).copy()
    values.flat[np.argmax(np.abs(values))] *= 1.0001
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    with pytest.raises(AssertionError):
        assert_near(run(after, x)[0], expected, SHARE["float32"])


IN_NODES = """
    net (float[1,2,H,W] x) => (float[1,1,P,Q] y) {
        v = Constant <value = float[2,1,3,3] {1,2,3,4,5,6,7,8,9,9,8,7,6,5,4,3,2,1}> ()
        w = Identity (v)
        b = Constant <value = float[1] {3}> ()
        y = ConvTranspose <strides = [2,2]> (x, w, b)
    }"""


@pytest.mark.parametrize("name", ["deconv-to-subpixel", "deconv-pad-kernel"])
def test_weights_out_of_nodes_go_with_the_layer(name: str) -> None:
    """The nodes that held them serve nothing any longer."""
    before = parse_text(IN_NODES).proto
    result = rewritten(before, name)
    after = result.model.proto
    made = {output for node in after.graph.node for output in node.output}
    assert not made & {"v", "w"}
    assert differences(before, after, result.changes) == []
    x = {"x": signal((1, 2, 3, 4))}
    assert_near(run(after, x)[0], run(before, x)[0], SHARE["float32"])


def test_a_node_that_something_else_reads_stays() -> None:
    """Were it gone, the comparison that the laws rely on would say so."""
    before = parse_text(IN_NODES).proto
    before.graph.node.append(helper.make_node("Relu", ["w"], ["r"]))
    before.graph.output.append(helper.make_tensor_value_info("r", onnx.TensorProto.FLOAT, None))
    result = rewritten(before, "deconv-to-subpixel")
    after = result.model.proto
    assert differences(before, after, result.changes) == []
    (index,) = [i for i, node in enumerate(after.graph.node) if node.output[0] == "w"]
    del after.graph.node[index]
    assert differences(before, after, result.changes)[0] == "graph: node '' is gone"


def test_a_shared_weight_stays() -> None:
    """Another layer reads it."""
    before = parse_text("""
        net (float[1,1,H,W] x) => (float[1,1,P,Q] y, float[1,1,R,S] z) <float[1,1,3,3] w> {
            y = ConvTranspose <strides = [2,2]> (x, w)
            z = Conv (x, w)
        }""")
    after = rewritten(before, "deconv-to-subpixel").model.proto
    assert "w" in {tensor.name for tensor in after.graph.initializer}


WITH_COMPUTED_SIZES = """
    net (float[N,4,D,H,W] x) => (float[N,2,P,Q,R] y)
    <float[48,4,1,1,1] w, int64[3] spatial = {2,3,4}, int64[3] blocks = {2,3,4},
     int64[5] start = {0,2,2,3,4}, int64[2] head = {0,2}> {
        c = Conv (x, w)
        shape = Shape (c)
        sizes = Gather (shape, spatial)
        split = Concat <axis = 0> (start, sizes)
        larger = Mul (sizes, blocks)
        joined = Concat <axis = 0> (head, larger)
        s = Reshape (c, split)
        t = Transpose <perm = [0,1,5,2,6,3,7,4]> (s)
        y = Reshape (t, joined)
    }"""


def test_computed_targets_go_with_the_shuffle() -> None:
    """Nothing is left over of the arithmetic for its sizes."""
    before = parse_text(WITH_COMPUTED_SIZES)
    result = rewritten(before, "subpixel-to-deconv")
    assert [node.op_type for node in result.model.proto.graph.node] == ["ConvTranspose"]
    assert differences(whole(before), whole(result.model), result.changes) == []
    x = {"x": signal((2, 4, 2, 3, 2))}
    (expected,), (found,) = run(whole(before), x), run(whole(result.model), x)
    assert found.shape == expected.shape
    assert_near(found, expected, SHARE["float32"])
