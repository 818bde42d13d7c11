"""Fields against what ONNX Runtime does with impulses and with constant images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from numpy.typing import NDArray

from onnxstride.geometry.fields import Field, Reach
from tests.analysis.asking import fields
from tests.analysis.networks import WITH_HOLES, Network, depends, flat, networks
from tests.graph.building import model, node, run

_SIZES = {1: 96, 2: 56}  # of the image, by rank


def law(examples: int) -> settings:
    """The same examples on every run; networks that do not run are filtered out."""
    filtered = [HealthCheck.filter_too_much, HealthCheck.too_slow]
    return settings(
        derandomize=True, database=None, deadline=None, max_examples=examples,
        suppress_health_check=filtered,
    )  # fmt: skip


def inside(field: Field, count: int, size: int) -> Iterator[tuple[int, int, int]]:
    """Elements far from the border, each with the first and last pixel it should see."""
    step, lows, highs = field.reach
    margin = field.receptive_field + 4 * abs(float(field.stride)) + 12
    for i in range(count):
        k, r = divmod(i, field.phases)
        low, high = lows[r] + step * k, highs[r] + step * k
        if low >= margin and high < size - margin:
            yield i, low, high


def seen_by(table: NDArray[np.bool_], i: int) -> tuple[int, int] | None:
    """The first and last pixel that element i depends on."""
    pixels = np.flatnonzero(table[:, i])
    return (int(pixels[0]), int(pixels[-1])) if len(pixels) else None


def wrong(field: Field, table: NDArray[np.bool_], *, exact: bool) -> list[str]:
    """Elements that see other pixels than the field tells, or such outside it if not exact."""
    size, count = table.shape
    found: list[str] = []
    for i, low, high in inside(field, count, size):
        seen = seen_by(table, i)
        if seen is None:
            right = not exact
        else:
            right = seen == (low, high) if exact else low <= seen[0] and seen[1] <= high
        if not right:
            found.append(f"element {i} sees {seen}, not {(low, high)}")
    return found


def ask_runtime(net: Network, *, exact: bool) -> None:
    found = fields(net.model(), net.last)
    asked = 0
    for axis, field in enumerate(found):
        size = _SIZES[net.rank]
        try:
            table = depends(net.model(), axis, net.rank, size)
        except Exception as error:
            assume(not type(error).__module__.startswith("onnxruntime"))  # refused: too small
            raise
        assert wrong(field, table, exact=exact) == []
        asked += len(list(inside(field, table.shape[1], size)))
    assume(asked)


@law(80)
@given(networks(1))
def test_elements_see_what_the_field_tells_in_one_dimension(net: Network) -> None:
    """The first and last pixel each element depends on, at every phase, are those of the field."""
    ask_runtime(net, exact=True)


@law(20)
@given(networks(2))
def test_elements_see_what_the_field_tells_in_two_dimensions(net: Network) -> None:
    """Along each axis, whatever the other one does."""
    ask_runtime(net, exact=True)


@law(40)
@given(networks(1, WITH_HOLES))
def test_no_element_sees_more_than_the_field_tells(net: Network) -> None:
    """Where taps miss phases the field may tell too much, but never too little."""
    ask_runtime(net, exact=False)


@law(15)
@given(networks(2, WITH_HOLES))
def test_no_element_sees_more_than_the_field_tells_in_two_dimensions(net: Network) -> None:
    """Cubic interpolation is one of the cases."""
    ask_runtime(net, exact=False)


COORDINATES = [
    "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "asymmetric", "align_corners",
    "tf_half_pixel_for_nn",
]  # fmt: skip
MODES = [("linear", None)] + [
    ("nearest", rounding)
    for rounding in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
]


@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize(("mode", "rounding"), MODES)
@pytest.mark.parametrize("scale", [0.5, 0.75, 1.5, 2.0, 3.0])
def test_every_rule_of_resize(
    coordinates: str, mode: str, rounding: str | None, scale: float
) -> None:
    """Each coordinate rule with each way to round, from 49 elements to 24, 36, 73, 98 or 147."""
    attributes = {"mode": mode, "coordinate_transformation_mode": coordinates}
    if rounding is not None:
        attributes["nearest_mode"] = rounding
    proto = model(
        node("Resize", "image - s", "y", **attributes), inputs={"image": ["N", 1, 49]},
        weights={"s": np.array([1, 1, scale], np.float32)}, opset=19,
    )  # fmt: skip
    (field,) = fields(proto)
    table = depends(proto, 0, 1, 49)
    assert wrong(field, table, exact=True) == []
    assert any(inside(field, table.shape[1], 49))


def _plain() -> tuple[Field, NDArray[np.bool_]]:
    net = Network(1, 0)
    net.add("Conv", net.weight(1, 1, 3), pads=[1, 1], strides=[2])
    net.add("ConvTranspose", net.weight(1, 1, 4), pads=[1, 1], strides=[2])
    (field,) = fields(net.model(), net.last)
    return field, depends(net.model(), 0, 1, 96)


def _moved(field: Field, by_low: int, by_high: int) -> Field:
    step, lows, highs = field.reach
    lows = tuple(low + by_low for low in lows)
    reach = Reach(step, lows, tuple(high + by_high for high in highs))
    return field._replace(view=field.view._replace(reach=reach))


@pytest.mark.parametrize("shift", [-1, 1], ids=["to the left", "to the right"])
def test_a_field_in_the_wrong_place_is_seen(shift: int) -> None:
    """A planted fault: one pixel off, and every element is reported."""
    field, table = _plain()
    assert wrong(field, table, exact=True) == []
    assert wrong(_moved(field, shift, shift), table, exact=True)
    assert wrong(_moved(field, shift, shift), table, exact=False)


def test_a_field_that_tells_too_much_is_seen() -> None:
    """A planted fault: a pixel too many at either end is an error where exactness is asked."""
    field, table = _plain()
    assert wrong(_moved(field, -1, 1), table, exact=True)
    assert wrong(_moved(field, -1, 1), table, exact=False) == []


@pytest.mark.parametrize(
    ("op", "attributes"),
    [
        pytest.param("Conv", {"kernel": 3, "strides": [2], "pads": [1, 1]}, id="odd window"),
        pytest.param("Conv", {"kernel": 4, "strides": [2], "pads": [1, 0]}, id="even window"),
        pytest.param("Conv", {"kernel": 3, "dilations": [3], "pads": [0, 4]}, id="dilated"),
        pytest.param("ConvTranspose", {"kernel": 2, "strides": [2]}, id="transposed, tiling"),
        pytest.param(
            "ConvTranspose", {"kernel": 3, "strides": [2], "pads": [1, 1]}, id="transposed, uneven"
        ),
        pytest.param("ConvTranspose", {"kernel": 7, "strides": [3]}, id="transposed, wide"),
    ],
)
def test_the_centre_is_the_mean_of_what_a_box_weighs(op: str, attributes: dict[str, Any]) -> None:
    """With equal weights the centre of mass of an impulse response is the centre, phases apart."""
    kernel = attributes.pop("kernel")
    weights = {"w": np.ones((1, 1, kernel), np.float32)}
    proto = model(node(op, "x w", "y", **attributes), inputs={"x": ["N", 1, "L"]}, weights=weights)
    (field,) = fields(proto)
    (y,) = run(proto, {"x": np.eye(60, dtype=np.float32)[:, np.newaxis]})
    share = y[:, 0] / y[:, 0].sum(0)
    masses = np.arange(60) @ share - float(field.stride) * np.arange(share.shape[1])
    middle = share.shape[1] // 2 // field.phases * field.phases
    assert field.centre is not None
    mean = masses[middle : middle + field.phases].mean()
    assert mean == pytest.approx(float(field.centre), abs=1e-4)  # sums in single precision


@law(60)
@given(networks(1))
def test_the_answer_to_a_constant_image_has_the_period_in_one_dimension(net: Network) -> None:
    """Away from the border it repeats, whatever the weights."""
    ask_period(net)


@law(15)
@given(networks(2))
def test_the_answer_to_a_constant_image_has_the_period_in_two_dimensions(net: Network) -> None:
    """Along each axis its own."""
    ask_period(net)


def ask_period(net: Network) -> None:
    found = fields(net.model(), net.last)
    size = _SIZES[net.rank]
    try:
        answer = flat(net.model(), net.rank, size)
    except Exception as error:
        assume(not type(error).__module__.startswith("onnxruntime"))
        raise
    for axis, field in enumerate(found):
        middle = [i for i, _, _ in inside(field, answer.shape[axis], size)]
        assume(len(middle) > field.period)
        part = np.moveaxis(answer, axis, 0)[middle]
        assert not breaks(part, field.period)


def breaks(part: NDArray[Any], period: int) -> bool:
    """True when rows do not repeat with the period."""
    return not np.allclose(part[period:], part[:-period], rtol=1e-4, atol=1e-6)


def test_a_period_that_is_too_short_is_seen() -> None:
    """A planted fault: a checkerboard has period 2, and not 1."""
    net = Network(1, 0)
    net.add("ConvTranspose", net.weight(1, 1, 3), strides=[2])
    (field,) = fields(net.model(), net.last)
    middle = flat(net.model(), 1, 32)[8:-8]
    assert field.period == 2
    assert not breaks(middle, 2)
    assert breaks(middle, 1)
