"""Sizes given by the caller."""

import onnx
import pytest
from onnx import helper

from onnxstride.errors import UsageError
from onnxstride.graph import Bindings, read_graph
from onnxstride.modelfile import ModelFile

from .building import body, graph_of, model, node, value

POOL = node("MaxPool", "x", "y", kernel_shape=[2, 2], strides=[2, 2])


def _pool(*shape: int | str | None) -> onnx.ModelProto:
    return model(POOL, inputs={"x": shape})


class TestApplying:
    def test_a_shape_gives_its_input_every_size(self) -> None:
        """Also where the input declares no shape at all."""
        for proto in (_pool("N", 3, "H", "W"), _pool(None, None, None, None)):
            graph = graph_of(proto, {"x": (1, 3, 5, 7)})
            assert graph.layers[0].sizes == (5, 7)
            assert graph.main.shape("y") == (1, 3, 2, 3)
        assert graph_of(model(POOL, inputs={"x": None}), {"x": (1, 3, 5, 7)}).layers[0].sizes == (
            5,
            7,
        )

    def test_a_symbol_is_bound_wherever_it_stands(self) -> None:
        """In inputs, and in declarations inside bodies."""
        choice = helper.make_node(
            "If", ["c"], ["y"], "if",
            then_branch=body(node("Mystery", "x", "z", domain="f"),
                             node("MaxPool", "z", "t", kernel_shape=[2, 2]), out="t"),
            else_branch=body(node("Relu", "x", "e"), out="e"),
        )  # fmt: skip
        choice.attribute[1].g.value_info.append(value("z", [1, 3, "H", "W"]))
        graph = graph_of(
            model(choice, inputs=[value("x", [1, 3, "H", "H"]), value("c", [], 9)]), H=6
        )
        assert graph.main.shape("x") == (1, 3, 6, 6)
        assert graph.layers[0].dims == (6, "W")

    def test_a_shape_binds_the_symbols_it_meets(self) -> None:
        """Another input with the same symbol follows, and both count as used."""
        proto = model(POOL, node("Relu", "z", "r"), inputs={"x": [1, 3, "H", "W"], "z": ["H", "W"]})
        graph = graph_of(proto, {"x": (1, 3, 6, 8)}, unknown=3)
        assert graph.main.shape("z") == (6, 8)
        assert graph.bound == {"x", "H", "W"}

    @pytest.mark.parametrize("size", [0, -1, -224])
    def test_a_size_of_nothing_is_free_to_be_given(self, size: int) -> None:
        """Exporters write 0 and -1 for "any"."""
        assert graph_of(_pool(size, 3, size, 8), {"x": (1, 3, 6, 8)}).layers[0].sizes == (6, 8)

    def test_the_model_itself_is_left_alone(self) -> None:
        """Sizes go into a copy."""
        proto = _pool(1, 3, "H", "W")
        before = proto.SerializeToString()
        graph_of(proto, {"x": (1, 3, 6, 8)}, H=6)
        assert proto.SerializeToString() == before


class TestRefusing:
    @pytest.mark.parametrize(
        ("shape", "message"),
        [
            ((1, 3, 8), r"x:1,3,8 does not fit the input, which is declared \[N, 3, H, H\]"),
            ((1, 4, 8, 8), "x:1,4,8,8 does not fit the input"),
            ((1, 3, 8, 9), "symbol 'H' is given two sizes, 8 and 9"),
        ],
        ids=["another rank", "another fixed size", "two sizes for one symbol"],
    )
    def test_a_shape_that_contradicts_the_model_is_refused(
        self, shape: tuple[int, ...], message: str
    ) -> None:
        """The message shows what was given and what is declared."""
        with pytest.raises(UsageError, match=message):
            graph_of(_pool("N", 3, "H", "H"), {"x": shape})

    def test_a_shape_and_a_symbol_that_disagree_are_refused(self) -> None:
        """Neither wins."""
        with pytest.raises(UsageError, match="two sizes, 9 and 8"):
            graph_of(_pool(1, 3, "H", "W"), {"x": (1, 3, 8, 8)}, H=9)

    def test_an_input_that_is_no_tensor_has_no_shape_to_give(self) -> None:
        """A sequence stays a sequence."""
        proto = _pool(1, 3, 8, 8)
        proto.graph.input.append(helper.make_tensor_sequence_value_info("s", 1, None))
        with pytest.raises(UsageError, match="s: the input is no tensor but a sequence_type"):
            graph_of(proto, {"s": (1, 2)})


class TestOrigins:
    """Sizes of a configuration give way to those that are asked for, and to no others."""

    @staticmethod
    def bound(bindings: Bindings) -> tuple[int | str | None, ...] | None:
        with ModelFile.from_proto(_pool("N", 3, "H", "W")) as opened:
            return read_graph(opened, bindings).main.shape("x")

    @pytest.mark.parametrize(
        ("shapes", "dims", "configured", "expected"),
        [
            pytest.param({"x": (1, 3, 8, 9)}, {"H": 5}, {"x"}, (1, 3, 5, 9), id="shape for a size"),
            pytest.param({"x": (1, 3, 8, 9)}, {"H": 5}, {"H"}, (1, 3, 8, 9), id="size for a shape"),
            pytest.param({"x": (1, 3, 8, 9)}, {"H": 8}, {"x", "H"}, (1, 3, 8, 9), id="they agree"),
            pytest.param({}, {"H": 5, "W": 6}, {"H"}, ("N", 3, 5, 6), id="nothing in the way"),
        ],
    )
    def test_what_is_asked_for_holds(
        self,
        shapes: dict[str, tuple[int, ...]],
        dims: dict[str, int],
        configured: set[str],
        expected: tuple[int | str, ...],
    ) -> None:
        """A symbol that both give a size has that of the option, wherever it stands."""
        origins = dict.fromkeys(configured, "some.toml:3")
        assert self.bound(Bindings(shapes, dims, origins)) == expected

    def test_two_of_one_configuration_contradict_each_other(self) -> None:
        """As two options do; the line is told."""
        origins = {"x": "some.toml:3", "H": "some.toml:4"}
        with pytest.raises(UsageError, match=r"5 and 8 \(by some.toml:3\)"):
            self.bound(Bindings({"x": (1, 3, 8, 9)}, {"H": 5}, origins))

    def test_what_does_not_fit_is_told_with_its_line(self) -> None:
        """Not as an option that nobody gave."""
        with pytest.raises(UsageError, match=r"some.toml:3: the shape \[1, 3\] of 'x' does not"):
            self.bound(Bindings({"x": (1, 3)}, {}, {"x": "some.toml:3"}))
