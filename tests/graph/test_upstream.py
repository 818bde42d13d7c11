"""The convolution that feeds a shuffle: what is found, and why there is none."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import pytest

from onnxstride.graph.layers import Shuffle
from onnxstride.graph.upstream import Feed, feed
from onnxstride.graph.weights import weights

from .building import Array, graph_of, model, node, random, run

CONV = node("Conv", "x w b", "c")
WEIGHTS: dict[str, Array] = {"w": random((8, 2, 3, 3), 1), "b": random([8], 2)}


def answer(
    *nodes: onnx.NodeProto, constants: Mapping[str, Array] | None = None, **more: Any
) -> Feed | str | None:
    """What feeds a DepthToSpace of ``p``, ``c`` being the output of a convolution."""
    settings: dict[str, Any] = {"inputs": {"x": [1, 2, 9, 9]}, **more}
    shuffle_of_p = node("DepthToSpace", "p", "y", blocksize=2)
    proto = model(*nodes, shuffle_of_p, weights={**WEIGHTS, **(constants or {})}, **settings)
    graph = graph_of(proto)
    (shuffle,) = (layer for layer in graph.layers if isinstance(layer, Shuffle))
    return feed(graph, shuffle, 1 << 20)


def found(*nodes: onnx.NodeProto, constants: Mapping[str, Array] | None = None) -> Feed:
    result = answer(*nodes, constants=constants)
    assert isinstance(result, Feed), result
    return result


class TestFound:
    """What is said of a convolution that is found."""

    def test_nothing_between(self) -> None:
        """Factor 1, its own bias, and every weight."""
        fed = found(node("Conv", "x w b", "p"))
        assert (fed.through, len(fed.scales), fed.weights.share) == ((), 1, 1.0)
        assert fed.phases.shape == (2, 2, 2)
        assert np.array_equal(fed.scales[0], [1])
        assert fed.offsets[0] is not None
        assert np.array_equal(fed.offsets[0], WEIGHTS["b"])

    def test_activations_are_listed_from_the_convolution_on(self) -> None:
        """Each begins an offset of its own."""
        fed = found(CONV, node("Relu", "c", "r"), node("Neg", "r", "n"), node("Tanh", "n", "p"))
        assert fed.through == ("Relu", "Tanh")
        assert len(fed.offsets) == 3

    def test_a_negative_factor_behind_relu_is_taken_when_it_is_equal(self) -> None:
        """Equal factors change nothing between phases, whatever their sign."""
        fed = found(CONV, node("Relu", "c", "r"), node("Neg", "r", "p"))
        assert np.array_equal(fed.scales[0], [1])

    def test_a_second_set_of_filters_is_for_slopes_that_differ(self) -> None:
        """Equal slopes need none."""
        slopes = np.full((8, 1, 1), 0.25, np.float32)
        prelu = node("PRelu", "c k", "p")
        assert len(found(CONV, prelu, constants={"k": slopes}).scales) == 1
        slopes[3] = 0.5
        assert len(found(CONV, prelu, constants={"k": slopes}).scales) == 2

    def test_a_bias_that_is_computed_is_not_known(self) -> None:
        """The filters still are; what is added behind an activation is too."""
        nodes = [node("Relu", "x", "q"), node("ReduceMean", "q", "b8", keepdims=0)]
        fed = found(
            *nodes, node("Expand", "b8 n", "bias"), node("Conv", "x w bias", "c"),
            node("Relu", "c", "r"), node("Add", "r k", "p"),
            constants={"k": random((8, 1, 1), 3), "n": np.array([8])},
        )  # fmt: skip
        assert fed.offsets[0] is None
        assert fed.offsets[1] is not None

    def test_a_fused_activation_is_one_on_the_way(self) -> None:
        """FusedConv carries its Relu with it, and may add another map."""
        fused = node("FusedConv", "x w b", "p", domain="com.microsoft", activation="Relu")
        assert found(fused).through == ("Relu",)
        adding = node("FusedConv", "x w b z", "p", domain="com.microsoft")
        result = answer(adding, inputs={"x": [1, 2, 9, 9], "z": [1, 8, 7, 7]})
        assert "adds another map" in str(result)


NOTHING_BEHIND = "stands between it and any convolution"
REASONS = {
    "another map is added": ([CONV, node("Add", "c c", "p")], "joins it with another map"),
    "an unknown operator": ([CONV, node("Resize", "c - s", "p")], NOTHING_BEHIND),
    "normalised over the map": (
        [CONV, node("InstanceNormalization", "c b b", "p")],
        NOTHING_BEHIND,
    ),
    "a pool": ([CONV, node("MaxPool", "c", "p", kernel_shape=[1, 1])], NOTHING_BEHIND),
    "another domain": ([CONV, node("Relu", "c", "p", domain="f")], NOTHING_BEHIND),
    "divides by the map": ([CONV, node("Div", "k c", "p")], "divides by the map"),
    "a constant per place": ([CONV, node("Mul", "c place", "p")], "not one number per channel"),
    "a constant per column": ([CONV, node("Mul", "c b", "p")], "not one number per channel"),
    "normalises while training": (
        [CONV, node("BatchNormalization", "c b b b b", "p m v", training_mode=1)],
        "the map's own mean",
    ),
    "unequal factors behind Tanh": (
        [CONV, node("Tanh", "c", "t"), node("Mul", "t k", "p")],
        "differ between phases",
    ),
    "unequal negative factors behind Relu": (
        [CONV, node("Relu", "c", "t"), node("Mul", "t k", "p")],
        "differ between phases",
    ),
    "unequal slopes behind Tanh": (
        [CONV, node("Tanh", "c", "t"), node("PRelu", "t k", "p")],
        "differ between phases",
    ),
    "weights that are computed": (
        [node("Relu", "w", "v"), node("Conv", "x v b", "p")],
        "not fixed in the file",
    ),
}


class TestNotFound:
    """Why the phases cannot be compared."""

    @pytest.mark.parametrize(("nodes", "reason"), REASONS.values(), ids=REASONS)
    def test_the_reason_is_given(self, nodes: list[onnx.NodeProto], reason: str) -> None:
        """One sentence that names what is in the way."""
        constants = {
            "k": random((8, 1, 1), 4),
            "place": random((7, 7), 5),
            "s": np.array([1, 1, 1, 1], np.float32),
        }
        result = answer(*nodes, constants=constants)
        assert isinstance(result, str)
        assert reason in result

    def test_without_any_operator_there_is_nothing_to_say(self) -> None:
        """The shuffle of an input, or of a copy of one."""
        assert answer(inputs={"p": [1, 8, 4, 4]}) is None
        assert answer(node("Identity", "x", "p"), inputs={"x": [1, 8, 4, 4]}) is None

    def test_a_ring_ends(self) -> None:
        """A cycle is a fault of the model, not a walk without end."""
        ring = [node("Relu", "q", "p"), node("Relu", "p", "q")]
        assert answer(*ring) is None

    def test_channels_that_do_not_divide(self) -> None:
        """A model no runtime takes has a reason too."""
        proto = model(
            node("Conv", "x w", "p"),
            node("DepthToSpace", "p", "y", blocksize=2),
            inputs={"x": None},
            weights={"w": random((6, 2, 3, 3), 6)},
        )
        graph = graph_of(proto)
        layers = [layer for layer in graph.layers if isinstance(layer, Shuffle)]
        assert not layers or "do not divide" in str(feed(graph, layers[0], 99))


class TestWeights:
    """Weights as real numbers."""

    def test_as_many_input_channels_as_fit(self) -> None:
        """One at least; a view of what the file holds."""
        graph = graph_of(model(CONV, out="c", inputs={"x": [1, 2, 9, 9]}, weights=WEIGHTS))
        (layer,) = graph.layers
        for at_most, channels in ((1, 1), (71, 1), (72, 1), (143, 1), (144, 2), (9999, 2)):
            taken: Any = weights(graph, layer, at_most)  # type: ignore[arg-type]
            assert taken.values.shape == (8, channels, 3, 3)
            assert taken.share == channels / 2
            assert np.array_equal(taken.values, WEIGHTS["w"][:, :channels])

    @pytest.mark.parametrize("per_channel", [False, True])
    @pytest.mark.parametrize("zero", [0, 3])
    def test_scale_and_zero_point_of_qlinear_conv(self, per_channel: bool, zero: int) -> None:
        """What the operator takes as inputs makes the numbers it computes with."""
        stored = np.random.default_rng(1).integers(0, 99, (4, 2, 3, 3)).astype(np.uint8)
        scale = np.linspace(0.1, 0.4, 4 if per_channel else 1).astype(np.float32)
        zeros = np.full(scale.shape, zero, np.uint8)
        if not per_channel:
            scale, zeros = scale[0], zeros[0]
        proto = model(
            node("QLinearConv", "x xs xz q s z ys xz", "c"), out="c",
            inputs=[onnx.helper.make_tensor_value_info("x", 2, [1, 2, 3, 3])],
            weights={"q": stored, "s": np.asarray(scale), "z": np.asarray(zeros),
                     "xs": np.array(0.5, np.float32), "xz": np.array(0, np.uint8),
                     "ys": np.array(200, np.float32)},
        )  # fmt: skip
        graph = graph_of(proto)
        (layer,) = graph.layers
        taken: Any = weights(graph, layer, 9999)  # type: ignore[arg-type]
        x = np.random.default_rng(2).integers(0, 255, (1, 2, 3, 3)).astype(np.uint8)
        expected = (taken.values * (x * 0.5)).sum(axis=(1, 2, 3))
        (found,) = run(proto, {"x": x})
        assert np.abs(found.reshape(-1) * 200.0 - expected).max() <= 100.1

    @pytest.mark.parametrize(
        ("weight", "reason"),
        [
            pytest.param(np.ones((8, 2, 3, 3), np.float32), None, id="fits"),
            pytest.param(np.ones((8, 0, 3, 3), np.float32), "do not fit", id="no channels"),
        ],
    )
    def test_weights_that_do_not_fit(self, weight: Array, reason: str | None) -> None:
        """Said, not tried."""
        proto = model(
            node("Conv", "x w", "c", kernel_shape=[3, 3]), out="c", inputs={"x": None},
            weights={"w": weight},
        )  # fmt: skip
        graph = graph_of(proto)
        taken = [weights(graph, layer, 99) for layer in graph.layers]  # type: ignore[arg-type]
        if reason is None:
            assert not isinstance(taken[0], str)
        else:
            assert not taken or reason in str(taken[0])

    def test_blocked_layouts_are_not_read(self) -> None:
        """A weight stored for one processor's kernels is another array."""
        nchwc = node("Conv", "x w", "p", domain="com.microsoft.nchwc", kernel_shape=[3, 3])
        assert "laid out for one processor" in str(answer(nchwc, domains=["com.microsoft.nchwc"]))
