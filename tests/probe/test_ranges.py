"""Ranges are read from the model where it says something, and assumed where it does not."""

import pytest

from onnxstride.graph import read_graph
from onnxstride.modelfile import parse_text
from onnxstride.probe.ranges import ASSUMED, Range, input_range, output_range, taken_for

HEAD = '<ir_version: 8, opset_import: ["": 12]>\n'
UPSCALER = "d = ConvTranspose <strides = [2,2]> (s, w)"


def into(*lines: str, kind: str = "float", constants: str = "") -> tuple[float, float] | None:
    """The range of an input that goes through these lines to ``s``; None where it is assumed."""
    body = "\n".join([*lines, UPSCALER])
    text = (
        f"{HEAD}net ({kind}[1,3,H,W] x) => (float[1,1,H2,W2] d) "
        f"<float[3,1,2,2] w{constants}> {{\n{body}\n}}"
    )
    found = input_range(read_graph(parse_text(text)), {}, "x", kind.replace("float", "float32"))
    return None if found.source == ASSUMED else (found.low, found.high)


@pytest.mark.parametrize(
    ("line", "constants", "expected"),
    [
        pytest.param("s = Div (x, c)", ", float c = {255.0}", (0, 255), id="x / 255"),
        pytest.param("s = Sub (x, c)", ", float c = {103.9}", (0, 255), id="minus a mean"),
        pytest.param("s = Mul (x, c)", ", float c = {255.0}", (0, 1), id="times 255"),
        pytest.param("s = Sub (x, c)", ", float c = {0.485}", (0, 1), id="minus a small mean"),
        pytest.param("s = Add (x, c)", ", float c = {1.0}", (-1, 1), id="x + 1"),
        pytest.param(
            "a = Mul (x, c)\n s = Sub (a, e)", ", float c = {2.0}, float e = {1.0}", (0, 1),
            id="2 x - 1",
        ),
        pytest.param(
            "a = Div (x, c)\n s = Sub (a, e)", ", float c = {127.5}, float e = {1.0}", (0, 255),
            id="x / 127.5 - 1",
        ),
        pytest.param(
            "a = Transpose <perm = [0,1,3,2]> (x)\n s = Sub (a, c)", ", float c = {0.5}", (0, 1),
            id="behind a transpose",
        ),
        pytest.param(
            "s = BatchNormalization (x, g, o, m, v)",
            ", float[3] g = {1.0, 1.0, 1.0}, float[3] o = {0.0, 0.0, 0.0}, "
            "float[3] m = {123.0, 116.0, 103.0}, float[3] v = {1.0, 1.0, 1.0}",
            (0, 255),
            id="a batch normalisation",
        ),
        pytest.param(
            "s = ImageScaler <bias = [-104.0, -117.0, -124.0], scale = 1.0> (x)", "", (0, 255),
            id="an image scaler",
        ),
        pytest.param("s = Clip (x, lo, hi)", ", float lo = {-1.0}, float hi = {1.0}", (-1, 1),
                     id="a clip"),
        pytest.param("s = Relu (x)", "", None, id="nothing"),
        pytest.param("s = Mul (x, c)", ", float c = {0.0}", None, id="nothing is left of it"),
        pytest.param("s = Mul (x, c)", ", float c = {0.5}", None, id="a scale that tells nothing"),
        pytest.param("s = Div (c, x)", ", float c = {255.0}", None, id="upside down"),
        pytest.param("s = Clip (x, lo)", ", float lo = {0.0}", None, id="half a clip"),
    ],
)  # fmt: skip
def test_of_an_input(line: str, constants: str, expected: tuple[float, float] | None) -> None:
    """By what comes first; 0 to 1 is assumed where nothing does."""
    assert into(line, constants=constants) == expected


def test_the_type_counts_first() -> None:
    """Eight bits are eight bits, whatever follows."""
    line = "a = Cast <to = 1> (x)\n s = Sub (a, c)"
    assert into(line, kind="uint8", constants=", float c = {0.5}") == (0, 255)


def out_of(*lines: str, constants: str = "") -> tuple[float, float] | None:
    """The range of ``y``, made from a transposed convolution ``d`` by these lines."""
    body = "\n".join(["s = Identity (x)", UPSCALER, *lines])
    text = (
        f"{HEAD}net (float[1,3,H,W] x) => (float[1,1,H2,W2] y) "
        f"<float[3,1,2,2] w{constants}> {{\n{body}\n}}"
    )
    found = output_range(read_graph(parse_text(text)), {}, "y", "")
    return None if found is None else (found.low, found.high)


@pytest.mark.parametrize(
    ("lines", "constants", "expected"),
    [
        pytest.param("y = Tanh (d)", "", (-1, 1), id="tanh"),
        pytest.param("y = Sigmoid (d)", "", (0, 1), id="sigmoid"),
        pytest.param(
            "t = Tanh (d)\n m = Mul (t, c)\n y = Add (m, e)",
            ", float c = {150.0}, float e = {127.5}", (-22.5, 277.5), id="tanh, scaled and shifted",
        ),
        pytest.param(
            "t = Sigmoid (d)\n m = Sub (c, t)\n y = Div (m, e)",
            ", float c = {1.0}, float e = {0.5}", (0, 2), id="one minus sigmoid, doubled",
        ),
        pytest.param(
            "t = Tanh (d)\n y = Mul (t, c)", ", float[2] c = {1.0, -3.0}", (-3, 3),
            id="a scale for each channel",
        ),
        pytest.param(
            "t = Sigmoid (d)\n y = Conv <pads = [1,1,1,1]> (t, k)",
            ", float[1,1,3,3] k = {0.1, 0.1, 0.1, 0.1, 0.2, 0.1, 0.1, 0.1, 0.1}", (0, 1),
            id="smoothed",
        ),
        pytest.param(
            "t = Sigmoid (d)\n y = Conv <pads = [1,1,1,1]> (t, k)",
            ", float[1,1,3,3] k = {0.1, 0.1, 0.1, 0.1, -0.2, 0.1, 0.1, 0.1, 0.1}", None,
            id="sharpened",
        ),
        pytest.param("y = Clip (d, lo, hi)", ", float lo = {0.0}, float hi = {255.0}", (0, 255),
                     id="clip"),
        pytest.param("t = Tanh (d)\n y = Affine <alpha = 2.0, beta = 1.0> (t)", "", (-1, 3),
                     id="tanh, scaled by an old operator"),
        pytest.param("y = Relu (d)", "", None, id="half bounded"),
        pytest.param("t = Tanh (d)\n y = Add (t, d)", "", None, id="bounded plus unbounded"),
    ],
)  # fmt: skip
def test_of_an_output(lines: str, constants: str, expected: tuple[float, float] | None) -> None:
    """What bounds the last values, carried through what follows; none where nothing does."""
    assert out_of(lines, constants=constants) == (expected and pytest.approx(expected))


@pytest.mark.parametrize(
    ("said", "denotation", "expected"),
    [
        ("NominalRange_0_255", "IMAGE", (0, 255)),
        ("Normalized_1_1", "image", (-1, 1)),
        ("NominalRange_0_255", "TENSOR", None),
        ("Nonsense", "IMAGE", None),
    ],
)
def test_the_metadata_of_images_counts(
    said: str, denotation: str, expected: tuple[float, float] | None
) -> None:
    """For tensors that are denoted as images, and values that the standard knows."""
    model = parse_text(f"{HEAD}net (float[1,3,H,W] x) => (float[1,3,H2,W2] y) {{ y = Relu (x) }}")
    for value in (model.proto.graph.input[0], model.proto.graph.output[0]):
        value.type.denotation = denotation
    graph = read_graph(model)
    metadata = {"Image.NominalPixelRange": said}
    into = input_range(graph, metadata, "x", "float32")
    assert (None if into.source == ASSUMED else (into.low, into.high)) == expected
    out = output_range(graph, metadata, "y", "float32")
    assert (None if out is None else (out.low, out.high)) == expected


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        pytest.param(146, 179, (0, 255), id="an image in its own colours"),
        pytest.param(-20, 270, (0, 255), id="a little beyond"),
        pytest.param(0, 1, (0, 1), id="too little to be one"),
        pytest.param(-200, 300, (-200, 300), id="too far beyond"),
    ],
)
def test_an_output_may_be_an_image_like_the_input(
    low: float, high: float, expected: tuple[float, float]
) -> None:
    """Of 0 to 255, if what was seen lies there and is not next to nothing of it."""
    found = taken_for(Range(low, high, "seen"), Range(0, 255, "image"))
    assert (found.low, found.high) == expected
