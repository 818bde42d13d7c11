"""Size functions, terms over them and sets of sizes against plain counting."""

from collections.abc import Callable, Mapping
from math import lcm

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxstride.geometry import Axis, output_size, same_size, transposed_size
from onnxstride.geometry.quasi_affine import (
    Growth,
    SizeMap,
    from_blocks,
    same,
    scaled,
    strided,
    to_blocks,
    transposed,
)
from onnxstride.geometry.size_sets import (
    ALL_SIZES,
    NO_SIZE,
    SizeSet,
    at_least,
    condition,
    intersection,
    is_subset,
    only,
    size_set,
    tabulated,
)
from onnxstride.geometry.term_values import evaluate
from onnxstride.geometry.terms import Floor, Free, Size, Term, Terms, monomial

from .comparing import disagreements
from .strategies import HUGE, axes, law, sizes


class TestSizeMaps:
    """phi against the formulas of the operators."""

    @law
    @given(sizes(HUGE), axes(HUGE), st.booleans())
    def test_a_window_gives_its_output_size(self, size: int, axis: Axis, ceil_mode: bool) -> None:
        """The map of a strided window is its output size, and takes what gives one window."""
        phi = strided(axis, ceil_mode=ceil_mode)
        outputs = output_size(size, axis, ceil_mode=ceil_mode)
        assert phi(size) == outputs
        assert phi.takes(size) == (outputs >= 1)

    @law
    @given(sizes(HUGE), axes(HUGE), sizes(HUGE))
    def test_a_transposed_window_gives_its_output_size(
        self, size: int, axis: Axis, output_padding: int
    ) -> None:
        """The map of a transposed window is its output size, and takes what gives one element."""
        phi = transposed(axis, output_padding)
        outputs = transposed_size(size, axis, output_padding)
        assert phi(size) == outputs
        assert phi.takes(size) == (outputs >= 1)

    @law
    @given(sizes(HUGE), sizes(HUGE))
    def test_same_and_blocks(self, size: int, step: int) -> None:
        """SAME rounds up, blocks multiply, and only whole blocks are taken apart."""
        assert same(step)(size) == same_size(size, step)
        assert from_blocks(step)(size) == step * size
        assert to_blocks(step).takes(size) == (size % step == 0)

    @pytest.mark.parametrize("denominator", range(1, 9))
    def test_a_scale_rounds_as_runtimes_do(self, denominator: int) -> None:
        """Whether or not there is a map, sizes are those of float32 arithmetic."""
        for numerator in range(1, 12):
            scale = float(np.float32(numerator / denominator))
            rounded = {x: int(np.float32(x) * np.float32(scale)) for x in range(1, 400)}
            assert not disagreements(_resized_by(scale), rounded)
            assert disagreements(_resized_by(scale * 1.01), rounded)

    def test_a_scale_that_float32_rounds_down_is_no_fraction(self) -> None:
        """27 * 7/3 is 62 in float32, not 63, so that scale has no map."""
        assert scaled(2.0) == SizeMap(2)
        assert scaled(1.5) == SizeMap(3, 0, 2)
        assert scaled(float(np.float32(7 / 3))) is None
        assert _resized(27, 7 / 3) == 62

    @pytest.mark.parametrize("scale", [0.7239173, 1.4142135])
    def test_a_scale_that_is_no_simple_fraction_has_no_map(self, scale: float) -> None:
        """Such a scale repeats with no period worth the name."""
        assert scaled(scale) is None


def _resized_by(scale: float) -> Callable[[int], int]:
    return lambda size: _resized(size, scale)


def _resized(size: int, scale: float) -> int:
    """The size of a term, at one value of its unknown."""
    terms = Terms()
    x = terms.free("x")
    (found,) = evaluate([terms.scaled(x, scale)], {x: np.array([size])})
    assert int(found[0]) == terms.scaled(size, scale)
    return int(found[0])


def maps() -> st.SearchStrategy[SizeMap]:
    small = st.integers(1, 4)
    return st.builds(SizeMap, small, st.integers(-6, 6), small)


class TestTerms:
    """Terms against their own arithmetic."""

    @law
    @given(st.lists(maps(), min_size=1, max_size=5))
    def test_a_chain_is_the_composition(self, chain: list[SizeMap]) -> None:
        """The normal form of a chain has the values of its links one after the other."""
        terms = Terms()
        x = terms.free("x")
        size: int | Term = x
        for phi in chain:
            size = terms.apply(phi, size)
        (found,) = evaluate([size], {x: np.arange(-40, 200)})
        assert not disagreements(
            lambda at: int(found[at + 40]), {at: _through(chain, at) for at in range(-40, 200)}
        )

    def test_a_chain_of_windows_is_one_floor(self) -> None:
        """However many strided windows follow each other, their size is one floor."""
        terms = Terms()
        x = terms.free("x")
        size: int | Term = x
        for _ in range(50):
            size = terms.apply(strided(Axis(3, 2, 1, 1, 1)), size)
        assert isinstance(size, Floor)
        assert size.parts == ((x, 1),)
        assert size.divisor == 2**50

    def test_equal_functions_are_one_term(self) -> None:
        """A 3x3 window padded by 1 and a 1x1 window, both at stride 2, give one and the same."""
        terms = Terms()
        x = terms.free("x")
        ways = [strided(Axis(3, 2, 1, 1, 1)), strided(Axis(1, 2)), same(2)]
        assert len({terms.apply(phi, x) for phi in ways}) == 1
        assert terms.apply(strided(Axis(3, 1, 1, 1, 1)), x) is x

    def test_products_cancel(self) -> None:
        """A product knows its factors, whatever it was multiplied by on the way."""
        terms = Terms()
        h, w = terms.free("h"), terms.free("w")
        assert monomial([terms.product([3, h, terms.product([w, 5])])]) == (15, (h, w))
        assert terms.product([h, 0]) == 0
        assert terms.linear([(h, 2), (h, -2)], 7) == 7

    @law
    @given(st.lists(maps(), min_size=1, max_size=4), st.lists(maps(), min_size=1, max_size=4))
    def test_growth_is_periodic_and_bounded(
        self, left: list[SizeMap], right: list[SizeMap]
    ) -> None:
        """f(x + M) = f(x) + N and f(x) - slope x stays in bounds, sums and extremes included."""
        terms = Terms()
        x = terms.free("x")
        one: int | Term = x
        other: int | Term = x
        for phi in left:
            one = terms.apply(phi, one)
        for phi in right:
            other = terms.apply(phi, other)
        for size in (
            terms.linear([(one, 2), (other, 3)], 5, 3),
            terms.extreme([one, other], largest=True),
            terms.extreme([one, other, 40], largest=False),
        ):
            growth = terms.growth(size)
            assert growth is not None
            assert not _broken(size, growth, x)

    def test_the_law_of_growth_finds_faults(self) -> None:
        """Half the period, another gain and tighter bounds are all noticed."""
        terms = Terms()
        x = terms.free("x")
        size = terms.apply(SizeMap(1, 0, 4), x)
        growth = terms.growth(size)
        assert growth is not None
        assert not _broken(size, growth, x)
        for fault in (
            growth._replace(period=2),
            growth._replace(gain=2),
            growth._replace(low=growth.high),
            growth._replace(high=growth.low),
        ):
            assert _broken(size, fault, x)

    @law
    @given(st.lists(maps(), min_size=1, max_size=4), st.integers(1, 30))
    def test_without_joints_a_size_is_as_short_as_at_the_start(
        self, chain: list[SizeMap], rounds: int
    ) -> None:
        """However often maps met on the way at the size they had, values are what they were."""
        terms = Terms()
        x = terms.free("x")
        size: Term = x
        for _ in range(rounds):
            after = _applied(terms, chain, size)
            size = terms.joined((size, after) if isinstance(after, Term) else (size,))
        after = _applied(terms, chain, size)
        assert terms.unjoined(size) is x
        assert terms.unjoined(after) == _applied(terms, chain, x)
        at = {x: np.arange(1, 100)}
        found, expected = evaluate([terms.unjoined(after), after], at)
        assert found.tolist() == expected.tolist()

    @law
    @given(st.integers(1, HUGE), st.integers(1, HUGE), st.integers(1, HUGE))
    def test_values_are_exact_at_any_magnitude(self, a: int, b: int, at: int) -> None:
        """Values beyond 64 bits do not wrap."""
        terms = Terms()
        x = terms.free("x")
        size = terms.product([terms.linear([(x, a)], b, 3), terms.linear([(x, b)], a)])
        (found,) = evaluate([size], {x: np.array([at])})
        assert int(found[0]) == ((a * at + b) // 3) * (b * at + a)


def _applied(terms: Terms, chain: list[SizeMap], size: Size) -> Size:
    for phi in chain:
        size = terms.apply(phi, size)
    return size


def _through(chain: list[SizeMap], size: int) -> int:
    for phi in chain:
        size = phi(size)
    return size


def _broken(size: int | Term, growth: Growth, x: Free) -> list[int]:
    """Sizes at which the growth does not hold."""
    first = growth.start
    at = np.arange(first, first + 3 * growth.period + 20)
    (now,) = evaluate([size], {x: at})
    (later,) = evaluate([size], {x: at + growth.period})
    return [
        each
        for each, value, next_value in zip(at.tolist(), now.tolist(), later.tolist(), strict=True)
        if next_value != value + growth.gain
        or not growth.low <= value - growth.slope * each <= growth.high
    ]


_RANGE = 120


def size_sets() -> st.SearchStrategy[SizeSet]:
    """Sets that repeat with a period up to 6 from a size up to 20."""
    return st.builds(
        size_set,
        st.integers(1, 20),
        st.integers(1, 6),
        st.sets(st.integers(0, 5)),
        st.sets(st.integers(1, 19)),
    )


def members(sizes: SizeSet) -> set[int]:
    return {size for size in range(1, _RANGE) if size in sizes}


class TestSizeSets:
    """Sets of sizes against Python's own."""

    @law
    @given(
        st.integers(1, 20), st.integers(1, 6), st.sets(st.integers(0, 5)), st.sets(st.integers(1))
    )
    def test_the_normal_form_keeps_every_size(
        self, start: int, period: int, residues: set[int], sporadic: set[int]
    ) -> None:
        """Least start and period change no membership."""
        sizes = size_set(start, period, residues, sporadic)
        wanted = {residue % period for residue in residues}
        plain = {
            size
            for size in range(1, _RANGE)
            if (size % period in wanted if size >= start else size in sporadic)
        }
        assert members(sizes) == plain
        assert sizes.start <= max(start, 1)
        assert period % sizes.period == 0 or sizes.is_finite

    @law
    @given(size_sets(), size_sets())
    def test_intersection_and_subset(self, one: SizeSet, other: SizeSet) -> None:
        """Both agree with sets of numbers."""
        both = intersection(one, other, largest_period=60)
        assert both is not None
        assert members(both) == members(one) & members(other)
        assert is_subset(one, other) == (members(one) <= members(other))

    @law
    @given(size_sets(), st.integers(1, _RANGE // 2))
    def test_neighbours(self, sizes: SizeSet, size: int) -> None:
        """The smallest, the next and the previous member are those of the set of numbers."""
        found = members(sizes)
        assert sizes.smallest == min(found, default=None)
        assert sizes.at_or_above(size) == min((x for x in found if x >= size), default=None)
        assert sizes.at_or_below(size) == max((x for x in found if x <= size), default=None)
        assert sizes.up_to(size) == sorted(x for x in found if x <= size)

    def test_a_period_too_long_is_refused(self) -> None:
        """Periods 7 and 9 meet every 63, which is beyond 60."""
        one, other = size_set(1, 7, {0}), size_set(1, 9, {0})
        assert intersection(one, other, largest_period=60) is None
        assert intersection(one, other, largest_period=63) == size_set(1, 63, {0})

    def test_tabulated(self) -> None:
        """A predicate that repeats from some size on becomes its set."""
        sizes = tabulated(9, 6, lambda x: ((x % 3 == 1) & (x > 8)) | (x == 2))
        assert sizes == size_set(9, 3, {1}, {2})
        assert members(sizes) == {x for x in range(1, _RANGE) if (x > 8 and x % 3 == 1) or x == 2}

    @pytest.mark.parametrize(
        ("sizes", "words"),
        [
            (ALL_SIZES, "any H"),
            (NO_SIZE, "no H"),
            (at_least(7), "H >= 7"),
            (size_set(1, 32, {0}), "H % 32 == 0"),
            (size_set(33, 32, {0}), "H % 32 == 0, at least 64"),
            (size_set(1, 8, {1}), "H % 8 == 1"),
            (size_set(2, 8, {1}), "H % 8 == 1, at least 9"),
            (size_set(1, 6, {0, 2, 3}), "H % 6 in {0, 2, 3}"),
            (size_set(1, 4, {0, 1, 3}), "H % 4 != 2"),
            (size_set(1, 8, {0, 1, 2, 3, 4, 5}), "H % 8 not in {6, 7}"),
            (size_set(9, 4, {0}, {6}), "H % 4 == 0, at least 12, or H in {6}"),
            (only([224]), "H == 224"),
            (only(range(193, 225)), "H in {193..224}"),
            (only([*range(1, 40, 2)]), "H in {1, 3, 5, 7, 9, 11, 13, 15, ..}"),
        ],
    )
    def test_words(self, sizes: SizeSet, words: str) -> None:
        """A set reads as the condition one would write down."""
        assert condition(sizes, "H") == words

    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param(lambda s: s._replace(period=s.period * 2), id="another period"),
            pytest.param(lambda s: s._replace(start=s.start + 5), id="a later start"),
            pytest.param(lambda s: s._replace(sporadic=()), id="small sizes forgotten"),
        ],
    )
    def test_the_comparison_finds_faults(self, fault: Callable[[SizeSet], SizeSet]) -> None:
        """Membership tells sets apart that differ in one figure."""
        sizes = size_set(9, 4, {0}, {6})
        truth: Mapping[int, bool] = {size: size in sizes for size in range(1, _RANGE)}
        assert disagreements(lambda size: size in fault(sizes), truth)


def test_periods_multiply_through_chains() -> None:
    """Three halvings repeat with 8, and doubling three times brings back all of it."""
    terms = Terms()
    x = terms.free("x")
    size: int | Term = x
    for phi in (*[SizeMap(1, 0, 2)] * 3, *[SizeMap(2)] * 3):
        size = terms.apply(phi, size)
    growth = terms.growth(size)
    assert growth is not None
    assert (growth.period, growth.gain) == (lcm(2, 4, 8), 8)
