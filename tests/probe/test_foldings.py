"""Which outputs are folded, by what, and where the border ends."""

from fractions import Fraction

import pytest

from onnxstride.graph import read_graph
from onnxstride.modelfile import parse_text
from onnxstride.probe.fold import Fold, Folding, Reach, interior, middle
from onnxstride.probe.foldings import targets
from onnxstride.probe.growing import guessed

from .building import HEAD

PLAIN = Fold(2, Reach("x", 2, Fraction(1, 2), Fraction(-3), Fraction(2)))


def test_the_interior_sees_nothing_beyond_the_image() -> None:
    """Output o sees o / 2 - 3 to o / 2 + 2, so 6 to 14 of an image of 10 see it alone."""
    inside = PLAIN.interior(10, 20)
    sees = [(Fraction(o, 2) - 3, Fraction(o, 2) + 2) for o in range(20)]
    assert list(inside) == [o for o, (first, last) in enumerate(sees) if first >= 0 and last <= 9]


@pytest.mark.parametrize("periods", [1, 2, 4])
def test_what_is_needed_is_enough(periods: int) -> None:
    """An image of that many elements has so many periods free of the border."""
    size = PLAIN.needed(periods)
    assert len(PLAIN.interior(size, 2 * size)) >= 2 * periods
    assert len(PLAIN.interior(size - 2, 2 * size)) < 2 * periods


def test_where_the_border_leaves_too_little_the_middle_is_taken() -> None:
    """And it is told."""
    folding = Folding((PLAIN, Fold(1, PLAIN.reach)))
    assert interior(folding, (40, 40), {"x": (1, 1, 20, 20)})[1]
    ranges, is_free = interior(folding, (12, 12), {"x": (1, 1, 6, 6)})
    assert not is_free
    assert ranges[0] == range(3, 9)


def test_the_middle_holds_two_periods_if_anything_does() -> None:
    """Half of the map is not always enough."""
    assert middle(16, 2) == range(4, 12)
    assert middle(16, 7) == range(1, 15)
    assert middle(10, 7) == range(10)


def test_a_border_of_unknown_reach_is_never_free() -> None:
    """Neither is one that counts the elements of something else."""
    assert not interior(Folding((Fold(2),)), (64,), {})[1]
    assert not interior(Folding((PLAIN,)), (64,), {"other": (1, 1, 32)})[1]


def told(text: str) -> list[tuple[str, tuple[int, ...] | str]]:
    """Outputs in which something may repeat, with period or problem."""
    graph = read_graph(parse_text(HEAD + text))
    return [
        (each.name, each.folding.periods if each.folding else each.problem)
        for each in targets(graph)
    ]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param("y = ConvTranspose <strides = [3,2]> (x, w)", [("y", (3, 2))], id="one"),
        pytest.param("y = ConvTranspose (x, w)", [], id="stride 1"),
        pytest.param("y = Relu (x)", [], id="nothing"),
        pytest.param(
            "a = ConvTranspose <strides = [2,2]> (x, w)\n"
            "y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (a)",
            [],
            id="larger and smaller again",
        ),
        pytest.param(
            "a = ConvTranspose <strides = [2,2]> (x, w)\n b = GlobalAveragePool (a)\n"
            "y = Flatten (b)",
            [],
            id="no map",
        ),
    ],
)
def test_outputs_that_may_repeat(body: str, expected: list[tuple[str, tuple[int, ...]]]) -> None:
    """Those that something with weights enlarges."""
    text = f"net (float[1,2,H,W] x) => (float y) <float[2,2,4,4] w> {{ {body} }}"
    assert (
        told(
            text.replace("float y", "float[N,C,A,B] y" if "Flatten" not in body else "float[N,C] y")
        )
        == expected
    )


def guess(body: str, *, shape: str = "[N,C,A,B]") -> tuple[int, ...] | str:
    """The guessed periods of y, or why there are none."""
    text = f"net (float[1,16,H,W] x) => (float{shape} y) <float[16,16,4,4] w> {{\n{body}\n}}"
    found = guessed(read_graph(parse_text(HEAD + text)), "y")
    return found if isinstance(found, str) else found.periods


UP = "ConvTranspose <strides = [2,3]>"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(f"a = {UP} (x, w)\n y = {UP} (a, w)", (4, 9), id="a chain"),
        pytest.param(
            "a = DepthToSpace <blocksize = 2> (x)\n y = DepthToSpace <blocksize = 2> (a)",
            (4, 4),
            id="shuffles",
        ),
        pytest.param(
            "a = Shape (x)\n b = Cast <to = 9> (a)\n s = Compress <axis = 0> (a, b)\n"
            "v = Reshape (w, s)\n d = ConvTranspose <strides = [2,2]> (x, v)\n y = Relu (d)",
            "how much ConvTranspose 'd' enlarges is not known",
            id="a layer that cannot be read",
        ),
        pytest.param(f"b = {UP} (x, w)\n y = Relu (x)", (), id="beside the way"),
        pytest.param(
            f's = Constant <value = float[4] {{1.0, 1.0, 1.5, 2.0}}> ()\n a = {UP} (x, w)\n'
            'y = Resize <mode = "linear"> (a, , s)',
            (6, 6),
            id="a fraction by its numerator",
        ),
        pytest.param(
            's = Constant <value = float[4] {1.0, 1.0, 2.0, 2.0}> ()\n'
            'y = Resize <mode = "linear"> (x, , s)',
            (),
            id="interpolation alone",
        ),
        pytest.param(
            f"a = {UP} (x, w)\n s = Shape (a)\n y = Resize (a, , , s)",
            "how much Resize 'y' enlarges is not known",
            id="a factor computed at run time",
        ),
        pytest.param(
            "\n".join(f"a{i + 1} = ConvTranspose <strides = [4,4]> (a{i}, w)" for i in range(5))
            + "\na0 = Relu (x)\ny = Relu (a5)",
            "its layers enlarge 1024 times in all, too much to find a period in",
            id="too much",
        ),
    ],
)  # fmt: skip
def test_guesses(body: str, expected: tuple[int, ...] | str) -> None:
    """Products of factors before the output."""
    assert guess(body) == expected


def test_an_output_of_another_rank_is_no_map() -> None:
    """Two axes of space do not fit into three in all."""
    found = guess(f"a = {UP} (x, w)\n s = Constant <value = int64[3] {{1, 4, -1}}> ()\n"
                  "y = Reshape (a, s)", shape="[1,4,L]")  # fmt: skip
    assert found == "its shape [1, 4, 'L'] is not that of a map with 2 spatial axes"


def test_a_body_counts_where_it_is_run() -> None:
    """The branches of an If enlarge as well."""
    text = """
    net (float[1,4,H,W] x, bool c) => (float[1,4,H2,W2] y) <float[4,4,4,4] w>
    {
        y = If (c) <
            then_branch = yes () => (float[1,4,H2,W2] t)
                { t = ConvTranspose <strides = [2,2]> (x, w) },
            else_branch = no () => (float[1,4,H2,W2] e)
                { e = ConvTranspose <strides = [3,3]> (x, w) }
        >
    }"""
    found = guessed(read_graph(parse_text(HEAD + text)), "y")
    assert not isinstance(found, str)
    assert found.periods == (6, 6)
    assert found.is_guess
