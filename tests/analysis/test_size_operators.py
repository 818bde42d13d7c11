"""Sizes that are computed as the model runs, operator by operator, against ONNX Runtime."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from onnxstride.analysis.sizes import input_sizes
from onnxstride.geometry.size_sets import condition

from ..graph.building import graph_of
from .nets import filled, running_sizes


class Case(NamedTuple):
    """A model, what its sizes are called and found to be, and sizes for the others meanwhile."""

    text: str
    words: dict[str, str]
    others: dict[str, int]


HW = {"H": 12, "W": 12}

CASES = {
    "padded by the difference to the skip, halves rounded down": Case(
        """
        unet (float[1,1,H,W] x) => (float[1,2,h,w] y)
        <float[1,1,2,2] k, int64[1] two = {2}, int64[1] three = {3}, int64[4] zeros = {0,0,0,0},
         int64 iTwo = {2}, int64[2] pairs = {-1,2}, int64[1] minus1 = {-1}, int64[1] far = {-9999},
         int64[1] zero = {0}, int64[1] flat = {-1}> {
            down = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)
            up = ConvTranspose <kernel_shape = [2,2], strides = [2,2]> (down, k)
            skipShape = Shape (x)
            upShape = Shape (up)
            skipH = Gather (skipShape, two)
            skipW = Gather (skipShape, three)
            upH = Gather (upShape, two)
            upW = Gather (upShape, three)
            diffH = Sub (skipH, upH)
            diffW = Sub (skipW, upW)
            left = Div (diffW, iTwo)
            top = Div (diffH, iTwo)
            right = Sub (diffW, left)
            bottom = Sub (diffH, top)
            torch = Concat <axis = 0> (left, right, top, bottom, zeros)
            folded = Reshape (torch, pairs)
            reversed = Slice (folded, minus1, far, zero, minus1)
            turned = Transpose <perm = [1,0]> (reversed)
            pads = Reshape (turned, flat)
            fitted = Pad (up, pads)
            y = Concat <axis = 1> (x, fitted)
        }""",
        {"H": "H >= 2", "W": "W >= 2"},
        HW,
    ),
    "cropped to the size of the skip, which must be the smaller": Case(
        """
        unet (float[1,1,H,W] x) => (float[1,2,h,w] y)
        <float[1,1,2,2] k, int64[1] two = {2}, int64[1] four = {4}, int64[2] origin = {0,0},
         int64[2] axes = {2,3}> {
            down = MaxPool <kernel_shape = [2,2], strides = [2,2], ceil_mode = 1> (x)
            up = ConvTranspose <kernel_shape = [2,2], strides = [2,2]> (down, k)
            whole = Shape (x)
            size = Slice (whole, two, four)
            fitted = Slice (up, origin, size, axes)
            y = Concat <axis = 1> (x, fitted)
        }""",
        {"H": "any H", "W": "any W"},
        HW,
    ),
    "the same, which is the larger half the time": Case(
        """
        unet (float[1,1,H,W] x) => (float[1,2,h,w] y)
        <float[1,1,2,2] k, int64[1] two = {2}, int64[1] four = {4}, int64[2] origin = {0,0},
         int64[2] axes = {2,3}> {
            down = MaxPool <kernel_shape = [3,3], strides = [2,2], pads = [1,1,0,0]> (x)
            up = ConvTranspose <kernel_shape = [2,2], strides = [2,2]> (down, k)
            whole = Shape (x)
            size = Slice (whole, two, four)
            fitted = Slice (up, origin, size, axes)
            y = Concat <axis = 1> (x, fitted)
        }""",
        {"H": "H % 2 == 0", "W": "W % 2 == 0"},
        HW,
    ),
    "resized to twice its own size": Case(
        """
        unet (float[1,1,H,W] x) => (float[1,2,h,w] y)
        <int64[1] zero = {0}, int64[1] two = {2}, int64[1] three = {3}, int64 axis2 = {2},
         int64 axis3 = {3}, float by = {2.0}> {
            down = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)
            shape = Shape (down)
            height = Gather (shape, axis2)
            width = Gather (shape, axis3)
            floatHeight = Cast <to = 1> (height)
            floatWidth = Cast <to = 1> (width)
            scaledHeight = Mul (floatHeight, by)
            scaledWidth = Mul (floatWidth, by)
            floorHeight = Floor (scaledHeight)
            floorWidth = Floor (scaledWidth)
            intHeight = Cast <to = 7> (floorHeight)
            intWidth = Cast <to = 7> (floorWidth)
            listHeight = Unsqueeze (intHeight, zero)
            listWidth = Unsqueeze (intWidth, zero)
            first = Slice (shape, zero, two)
            sizes = Concat <axis = 0> (first, listHeight, listWidth)
            up = Resize <mode = "nearest"> (down, , , sizes)
            y = Concat <axis = 1> (x, up)
        }""",
        {"H": "H % 2 == 0", "W": "W % 2 == 0"},
        HW,
    ),
    "resized to a third, by a scale that is a float": Case(
        """
        net (float[1,1,H,W] x) => (float[1,1,h,w] y)
        <float[4] down = {1.0, 1.0, 0.33333334, 0.33333334}, float[4] up = {1.0, 1.0, 3.0, 3.0}> {
            small = Resize <mode = "nearest"> (x, , down)
            back = Resize <mode = "nearest"> (small, , up)
            y = Concat <axis = 1> (x, back)
        }""",
        {"H": "H % 3 == 0", "W": "W % 3 == 0"},
        HW,
    ),
    "an image of channels last, and a size fixed by the middle": Case(
        """
        net (float[1,H,W,1] x) => (float[1,2,h,w] y)
        <float[1,1,3,3] k, int64[4] fixed = {1,1,5,0}> {
            image = Transpose <perm = [0,3,1,2]> (x)
            small = Conv <kernel_shape = [3,3], strides = [2,2], pads = [1,1,1,1]> (image, k)
            y = Reshape (small, fixed)
        }""",
        {"H": "H in {9, 10}", "W": "any W"},
        {"H": 10, "W": 10},
    ),
    "flattened in front of a matrix, one side being fixed": Case(
        """
        net (float[1,1,H,14] x) => (float[1,3] y) <float[1,1,3,3] k, float[49,3] matrix> {
            small = Conv <kernel_shape = [3,3], strides = [2,2], pads = [1,1,1,1]> (x, k)
            flat = Flatten (small)
            y = Gemm (flat, matrix)
        }""",
        {"H": "H in {13, 14}"},
        {},
    ),
    "blocks folded into channels by reshapes": Case(
        """
        net (float[1,1,H,W] x) => (float[1,4,h,w] y)
        <int64[1] two = {2}, int64[1] three = {3}, int64[1] four = {4}, int64[1] one = {1}> {
            blank = Conv <kernel_shape = [1,1]> (x, k)
            shape = Shape (blank)
            height = Gather (shape, two)
            width = Gather (shape, three)
            rows = Div (height, two)
            columns = Div (width, two)
            split = Concat <axis = 0> (one, one, rows, two, columns, two)
            cut = Reshape (blank, split)
            turned = Transpose <perm = [0,1,3,5,2,4]> (cut)
            folded = Concat <axis = 0> (one, four, rows, columns)
            y = Reshape (turned, folded)
        }""".replace("int64[1] two", "float[1,1,1,1] k, int64[1] two"),
        {"H": "H % 2 == 0", "W": "W % 2 == 0"},
        HW,
    ),
    "split in two halves that meet": Case(
        """
        net (float[1,1,L] x) => (float[1,1,l] y) <float[1,1,3] k, int64[1] zero = {0},
        int64[1] two = {2}, int64[1] far = {2147483647}> {
            map = Conv <kernel_shape = [3], pads = [1,1]> (x, k)
            shape = Shape (map)
            length = Gather (shape, two)
            half = Div (length, two)
            left = Slice (map, zero, half, two)
            right = Slice (map, half, far, two)
            y = Add (left, right)
        }""",
        {"L": "L % 2 == 0"},
        {},
    ),
    "every second element, and those between": Case(
        """
        net (float[1,1,L] x) => (float[1,1,l] y) <float[1,1,3] k, int64[1] zero = {0},
        int64[1] one = {1}, int64[1] two = {2}, int64[1] far = {2147483647}> {
            map = Conv <kernel_shape = [3], pads = [1,1]> (x, k)
            even = Slice (map, zero, far, two, two)
            odd = Slice (map, one, far, two, two)
            y = Concat <axis = 1> (even, odd)
        }""",
        {"L": "L % 2 == 0"},
        {},
    ),
    "the last three, and a map of three": Case(
        """
        net (float[1,1,L] x) => (float[1,2,l] y) <float[1,1,3] k, int64[1] start = {-3},
        int64[1] two = {2}, int64[1] far = {2147483647}, float[1,1,3] three> {
            map = Conv <kernel_shape = [3], pads = [1,1]> (x, k)
            last = Slice (map, start, far, two)
            y = Concat <axis = 1> (last, three)
        }""",
        {"L": "L >= 3"},
        {},
    ),
    "a function that halves, called twice": Case(
        """
        <ir_version: 10, opset_import: ["" : 22, "f" : 1]>
        net (float[1,1,L] x) => (float[1,2,l] y) <float[1,1,2] k> {
            half = f.down (x)
            quarter = f.down (half)
            a = ConvTranspose <kernel_shape = [2], strides = [2]> (quarter, k)
            y = Concat <axis = 1> (half, a)
        }
        <domain: "f", opset_import: ["" : 22]>
        down (a) => (b) { b = MaxPool <kernel_shape = [2], strides = [2]> (a) }
        """,
        {"L": "L % 4 in {0, 1}, at least 4"},
        {},
    ),
    "a branch that is taken for certain": Case(
        """
        net (float[1,1,L] x) => (float[1,2,l] y)
        <float[1,1,2] k, int64 two = {2}, int64 zero = {0}> {
            half = MaxPool <kernel_shape = [2], strides = [2]> (x)
            shape = Shape (x)
            length = Gather (shape, two)
            isEmpty = Equal (length, zero)
            up = If (isEmpty) <
                then_branch = g () => (float[1,1,n] a) { a = Identity (half) },
                else_branch = h () => (float[1,1,m] b) {
                    b = ConvTranspose <kernel_shape = [2], strides = [2]> (half, k)
                }
            >
            y = Concat <axis = 1> (x, up)
        }""",
        {"L": "L % 2 == 0"},
        {},
    ),
    "an unpooling that gives back what the pool took": Case(
        """
        net (float[1,1,L] x) => (float[1,2,l] y) {
            half, where = MaxPool <kernel_shape = [2], strides = [2]> (x)
            up = MaxUnpool <kernel_shape = [2], strides = [2]> (half, where)
            y = Concat <axis = 1> (x, up)
        }""",
        {"L": "L % 2 == 0"},
        {},
    ),
    "a matrix product of positions with positions": Case(
        """
        net (float[1,2,L] x) => (float[1,2,2] y) {
            half = MaxPool <kernel_shape = [2], strides = [2]> (x)
            scales = Constant <value_floats = [1.0, 1.0, 2.0]> ()
            up = Resize <mode = "nearest"> (half, , scales)
            turned = Transpose <perm = [0,2,1]> (up)
            y = MatMul (x, turned)
        }""",
        {"L": "L % 2 == 0"},
        {},
    ),
    "an embedding of a fixed number of positions": Case(
        """
        net (float[1,1,L] x) => (float[1,1,l] y) <float[1,1,4] k, float[1,1,6] position> {
            patches = Conv <kernel_shape = [4], strides = [4]> (x, k)
            y = Add (patches, position)
        }""",
        {"L": "L in {24..27}"},
        {},
    ),
    "a transposed convolution with its output size stated": Case(
        """
        net (float[1,1,L] x) => (float[1,2,l] y) <float[1,1,4] k, float[1,1,3] c> {
            half = Conv <kernel_shape = [3], strides = [2], pads = [1,1]> (x, c)
            up = ConvTranspose <kernel_shape = [4], strides = [2], output_shape = [9]> (half, k)
            y = Concat <axis = 1> (x, up)
        }""",
        {"L": "L == 9"},
        {},
    ),
    "tiled and expanded": Case(
        """
        net (float[1,1,L] x) => (float[1,3,l] y)
        <float[1,1,3] k, int64[3] twice = {1,1,2}, float[1,1,1] one> {
            map = Conv <kernel_shape = [3], pads = [1,1], strides = [2]> (x, k)
            double = Tile (map, twice)
            shape = Shape (x)
            ones = Expand (one, shape)
            y = Concat <axis = 1> (x, double, ones)
        }""",
        {"L": "L % 2 == 0"},
        {},
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_sizes_are_what_runs(case: Case) -> None:
    """Each unknown size runs exactly where it is admitted, or listed as stretched."""
    proto = filled(case.text)
    found = {size.name: size for size in input_sizes(graph_of(proto)).inputs}
    assert {name: condition(size.sizes, name) for name, size in found.items()} == case.words
    for name, size in found.items():
        assert not size.unproven
        tried = range(1, 40)
        expected = {each for each in tried if each in size.sizes or each in size.stretched}
        assert expected == running_sizes(proto, name, tried, case.others), name
