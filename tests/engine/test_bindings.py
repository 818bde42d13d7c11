"""Sizes on the command line are read exactly, or refused with the form expected."""

import pytest

from onnxstride.engine.bindings import parse_bindings, refuse_unknown
from onnxstride.engine.results import FileError, FileReport
from onnxstride.errors import UsageError
from onnxstride.graph import Bindings


@pytest.mark.parametrize(
    ("shapes", "dims", "expected"),
    [
        pytest.param(["x:1,3,224,224"], [], Bindings({"x": (1, 3, 224, 224)}), id="a shape"),
        pytest.param(["x:7"], ["H=8"], Bindings({"x": (7,)}, {"H": 8}), id="a vector and a symbol"),
        pytest.param(["a:0:1,2"], ["b=c=3"], Bindings({"a:0": (1, 2)}, {"b=c": 3}), id="odd names"),
        pytest.param(["x: 1, 3"], ["H= 8"], Bindings({"x": (1, 3)}, {"H": 8}), id="spaces"),
        pytest.param(["x:1", "x:1"], ["H=8", "H=8"], Bindings({"x": (1,)}, {"H": 8}), id="twice"),
        pytest.param([], ["H=9223372036854775807"], Bindings({}, {"H": 2**63 - 1}), id="largest"),
    ],
)
def test_sizes_are_read(shapes: list[str], dims: list[str], expected: Bindings) -> None:
    """What the two options spell."""
    parsed = parse_bindings(shapes, dims)
    assert (parsed.shapes, parsed.dims) == (expected.shapes, expected.dims)


@pytest.mark.parametrize(
    "text", ["x", "x:", ":1,2", "x:1,,2", "x:1,0", "x:-1", "x:1.5", "x:a", "x:²", "x:9" + "9" * 19]
)
def test_other_shapes_are_refused(text: str) -> None:
    """Sizes are positive 64-bit integers, and every part must be there."""
    with pytest.raises(UsageError, match="expected --input-shape NAME:1,3,224,224"):
        parse_bindings([text], [])


@pytest.mark.parametrize("text", ["H", "H=", "=8", "H=0", "H=-8", "H=1,2", "H=9" + "9" * 5000])
def test_other_symbols_are_refused(text: str) -> None:
    """A symbol has one positive 64-bit size."""
    with pytest.raises(UsageError, match="expected --dim NAME=224"):
        parse_bindings([], [text])


def test_two_sizes_for_one_name_are_refused() -> None:
    """Neither is silently preferred."""
    with pytest.raises(UsageError, match="'x' two shapes"):
        parse_bindings(["x:1", "x:2"], [])
    with pytest.raises(UsageError, match="'H' two sizes"):
        parse_bindings([], ["H=1", "H=2"])


def test_a_binding_that_no_model_has_is_refused() -> None:
    """The nearest input or symbol of any model is suggested."""
    reports = [
        FileReport("a", bindable=frozenset({"image", "N"})),
        FileReport("b", bindable=frozenset({"width"}), used_bindings=frozenset({"width"})),
    ]
    with pytest.raises(UsageError, match=r"named 'imgae'; did you mean 'image'\?"):
        refuse_unknown(Bindings({"imgae": (1,)}, {"width": 3}), reports)


def test_a_binding_that_one_model_has_is_enough() -> None:
    """Models linted together need not share their inputs."""
    reports = [
        FileReport("a", bindable=frozenset({"x"}), used_bindings=frozenset({"x"})),
        FileReport("b", bindable=frozenset({"y"})),
    ]
    refuse_unknown(Bindings({"x": (1,)}), reports)


def test_models_that_could_not_be_read_say_nothing_about_names() -> None:
    """Their own error is the one to report."""
    refuse_unknown(Bindings({"x": (1,)}), [FileReport("a", FileError("E001", "gone"))])
