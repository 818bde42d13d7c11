"""What the rules claim about ONNX Runtime, asked of ONNX Runtime."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import helper

from onnxstride.rule import Severity
from tests.folding import IS_FOLDED_HERE, folded

from .asking import findings, model_of, ramp, run

SAME = ("SAME_UPPER", "SAME_LOWER")


class TestZeroPadBeforeMaxPool:
    """BD303 flags exactly the models that folding the Pad changes, or makes a runtime refuse."""

    @settings(max_examples=150, derandomize=True, deadline=None)
    @given(
        kernel=st.integers(1, 3),
        stride=st.integers(1, 3),
        pads=st.tuples(st.integers(0, 3), st.integers(0, 3)),
        own=st.tuples(st.integers(0, 1), st.integers(0, 1)),
        size=st.integers(4, 8),
        relu=st.booleans(),
        ceil_mode=st.integers(0, 1),
    )
    def test_flags_what_changes(
        self,
        kernel: int,
        stride: int,
        pads: tuple[int, int],
        own: tuple[int, int],
        size: int,
        relu: bool,
        ceil_mode: int,
    ) -> None:
        """A finding stands where the model with the Pad folded differs from the model itself."""
        own = (min(own[0], kernel - 1), min(own[1], kernel - 1))
        nodes = [helper.make_node("Relu", ["x"], ["r"])] if relu else []
        nodes += [
            helper.make_node("Pad", ["r" if relu else "x", "pads"], ["p"]),
            helper.make_node(
                "MaxPool", ["p"], ["y"], kernel_shape=[kernel], strides=[stride], pads=own,
                ceil_mode=ceil_mode,
            ),
        ]  # fmt: skip
        widths = np.array([0, 0, pads[0], 0, 0, pads[1]], np.int64)
        model = model_of(nodes, size, {"pads": widths})
        flagged = bool(findings(model, "BD303"))
        plain = run(model, ramp(size))
        assert plain is not None
        optimised = run(folded(model), ramp(size))
        changed = optimised is None or not np.array_equal(plain, optimised)
        assert flagged == changed
        if IS_FOLDED_HERE:
            there = run(model, ramp(size), optimised=True)
            assert (there is None) == (optimised is None)
            assert there is None or optimised is None or np.array_equal(there, optimised)

    @pytest.mark.parametrize("mode", ["reflect", "edge"])
    def test_other_padding_is_kept(self, mode: str) -> None:
        """Padding that repeats the data is not folded, and not flagged."""
        nodes = [
            helper.make_node("Pad", ["x", "pads"], ["p"], mode=mode),
            helper.make_node("MaxPool", ["p"], ["y"], kernel_shape=[3], strides=[2]),
        ]
        model = model_of(nodes, 7, {"pads": np.array([0, 0, 1, 0, 0, 1], np.int64)})
        assert findings(model, "BD303") == []
        plain, optimised = run(model, ramp(7)), run(model, ramp(7), optimised=True)
        assert plain is not None
        assert optimised is not None
        assert np.array_equal(plain, optimised)


def _standard_same(op: str, size: int, k: int, s: int, d: int, auto_pad: str) -> NDArray[Any]:
    """SAME as the standard has it: never negative, ceil(W / s) outputs, taps of weight 1."""
    data = ramp(size)[0, 0]
    outputs = -(-size // s)
    total = max(0, (outputs - 1) * s + d * (k - 1) + 1 - size)
    begin = total // 2 if auto_pad == "SAME_UPPER" else total - total // 2
    windows = [[o * s - begin + j * d for j in range(k)] for o in range(outputs)]
    read = [np.array([data[i] for i in window if 0 <= i < size]) for window in windows]
    reductions: dict[str, Any] = {"Conv": np.sum, "MaxPool": np.max, "AveragePool": np.mean}
    reduce = reductions[op]
    return np.array([reduce(values) for values in read], np.float32)


def _same_model(
    op: str, size: int, k: int, s: int, d: int, auto_pad: str, *, opset: int = 22
) -> Any:
    weights = {"w": np.ones((1, 1, k), np.float32)} if op == "Conv" else {}
    dilations: dict[str, Any] = {"dilations": [d]} if d > 1 else {}
    node = helper.make_node(
        op, ["x", *weights], ["y"], kernel_shape=[k], strides=[s], auto_pad=auto_pad, **dilations
    )
    return model_of([node], size, weights, opset=opset)


SAME_CASES = [
    case
    for case in product(
        ("Conv", "MaxPool", "AveragePool"),
        range(7, 15),
        (1, 2, 3),
        (1, 2, 3, 4, 5, 7),
        (1, 2),
        SAME,
    )
    if not (case[4] > 1 and case[2] == 1)  # a single tap has nothing to dilate
    and not (case[4] > 1 and case[2] < case[3])  # two departures at once can cancel
]


class TestSamePadding:
    """BD306 on auto_pad SAME: an error where ONNX Runtime leaves the standard, else not."""

    @pytest.mark.parametrize("opset", [11, 18, 22])
    def test_errors_are_departures(self, opset: int) -> None:
        """Over a grid: an error stands exactly where the runtime refuses or answers otherwise."""
        wrong = []
        for op, size, k, s, d, auto_pad in SAME_CASES:
            if op == "AveragePool" and opset < 19 and d > 1:
                continue  # not an attribute yet
            model = _same_model(op, size, k, s, d, auto_pad, opset=opset)
            found = findings(model, "BD306")
            is_error = any(finding.severity is Severity.ERROR for finding in found)
            answer = run(model, ramp(size))
            expected = _standard_same(op, size, k, s, d, auto_pad)
            departs = (
                answer is None
                or answer.shape[-1] != len(expected)
                or not np.allclose(answer[0, 0], expected, rtol=1e-6, atol=0)
            )
            if is_error != departs:
                wrong.append((op, size, k, s, d, auto_pad, is_error, departs))
        assert wrong == []

    def test_departures_occur(self) -> None:
        """The grid holds both kinds, so the comparison above can fail."""
        answers = {bool(findings(_same_model(*case), "BD306")) for case in SAME_CASES}
        assert answers == {True, False}


class TestStatedPadding:
    """BD306 on stated pads: an error exactly where ONNX Runtime refuses."""

    def test_pool_pads(self) -> None:
        """Padding of at least the kernel is refused, dilated or not."""
        for op, k, d, begin, end in product(
            ("MaxPool", "AveragePool", "LpPool"), (1, 2, 3), (1, 2), range(4), range(4)
        ):
            node = helper.make_node(
                op, ["x"], ["y"], kernel_shape=[k], dilations=[d], pads=[begin, end]
            )
            model = model_of([node], 12)
            refused = run(model, ramp(12)) is None
            assert bool(findings(model, "BD306")) == refused, (op, k, d, begin, end)

    def test_output_padding(self) -> None:
        """output_padding of at least the stride is refused, whatever the dilation."""
        for k, s, d, extra in product((1, 2, 3), (1, 2, 3), (1, 2, 3), range(4)):
            model = _deconv(6, k, strides=[s], dilations=[d], output_padding=[extra])
            refused = run(model, ramp(6)) is None
            assert bool(findings(model, "BD306")) == refused, (k, s, d, extra)

    def test_output_shape(self) -> None:
        """An output_shape a stride or more beyond the last tap is refused."""
        for k, s, extra, more in product((1, 2, 3, 4), (1, 2, 3), range(3), range(-3, 5)):
            wanted = s * 3 + k + more
            if wanted < 1 or extra >= s:
                continue
            model = _deconv(4, k, strides=[s], output_padding=[extra], output_shape=[wanted])
            refused = run(model, ramp(4)) is None
            assert bool(findings(model, "BD306")) == refused, (k, s, extra, wanted)


def _deconv(size: int, kernel: int, **attributes: Any) -> Any:
    weight = {"w": np.ones((1, 1, kernel), np.float32)}
    return model_of(
        [helper.make_node("ConvTranspose", ["x", "w"], ["y"], **attributes)], size, weight
    )


class TestBiasOnlyTail:
    """UP107 counts the trailing outputs that hold the bias alone."""

    @settings(max_examples=100, derandomize=True, deadline=None)
    @given(
        kernel=st.integers(1, 4),
        stride=st.integers(1, 4),
        pads=st.tuples(st.integers(0, 2), st.integers(0, 2)),
        extra=st.integers(0, 3),
        size=st.integers(2, 5),
    )
    def test_tail(
        self, kernel: int, stride: int, pads: tuple[int, int], extra: int, size: int
    ) -> None:
        """The tail reported is the run of bias at the end, for kernels that leave no gaps."""
        extra = min(extra, stride - 1)
        kernel = max(kernel, stride)
        if stride * (size - 1) + extra + kernel - sum(pads) < 1:
            return
        weights = {"w": np.ones((1, 1, kernel), np.float32), "b": np.full(1, 7, np.float32)}
        node = helper.make_node(
            "ConvTranspose", ["x", "w", "b"], ["y"], strides=[stride], pads=pads,
            output_padding=[extra],
        )  # fmt: skip
        model = model_of([node], size, weights)
        output = run(model, ramp(size))
        assert output is not None
        reached = np.flatnonzero(output[0, 0] != 7)
        tail = output.shape[-1] - 1 - reached[-1] if len(reached) else output.shape[-1]
        found = findings(model, "UP107")
        reported = sum(found[0].data["tail"]) if found else 0
        assert reported == tail


class TestCollapsedWindow:
    """SZ402 as an error: there is no output, and the runtime refuses."""

    def test_no_output(self) -> None:
        """Errors stand exactly where no window fits."""
        for op, size, k, pad in product(("Conv", "MaxPool"), (1, 2, 3), (1, 2, 3, 5), (0, 1)):
            if pad >= k:
                continue
            weights = {"w": np.ones((1, 1, k), np.float32)} if op == "Conv" else {}
            node = helper.make_node(op, ["x", *weights], ["y"], kernel_shape=[k], pads=[pad, pad])
            model = model_of([node], size, weights)
            errors = [f for f in findings(model, "SZ402") if f.severity is Severity.ERROR]
            answer = run(model, ramp(size))
            assert bool(errors) == (answer is None or answer.size == 0), (op, size, k, pad)
