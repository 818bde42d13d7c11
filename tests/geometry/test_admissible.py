"""Admissible sizes against trying every size."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxstride.geometry import Axis
from onnxstride.geometry.admissible import Admissible
from onnxstride.geometry.deciding import LARGEST_PERIOD
from onnxstride.geometry.quasi_affine import (
    SizeMap,
    from_blocks,
    padded,
    same,
    strided,
    to_blocks,
    transposed,
)
from onnxstride.geometry.size_program import Meeting, Program
from onnxstride.geometry.size_sets import ALL_SIZES, NO_SIZE, SizeSet, condition, only, size_set
from onnxstride.geometry.terms import Size
from onnxstride.geometry.ties import Solution, solve

from .comparing import disagreements
from .strategies import law


class Step(NamedTuple):
    """One instruction of a random network; ``of`` counts the values before it."""

    kind: Literal["map", "sum", "extreme", "meet", "multiple", "scale"]
    of: tuple[int, ...]
    phi: SizeMap = SizeMap()
    flag: bool = False
    number: int = 1


@dataclass
class Refused(Exception):
    """The size does not go through the network."""

    step: Step


def run(steps: Sequence[Step], size: int, *, stretching: bool) -> None:
    """Put one size through a network, number by number.

    Raises:
        Refused: an operator does not take its size, or maps do not meet.
    """
    values = [size]
    for step in steps:
        given_sizes = [values[i % len(values)] for i in step.of]
        first = given_sizes[0]
        match step.kind:
            case "map":
                _require(step.phi.takes(first), step)
                values.append(step.phi(first))
            case "scale":
                values.append(int(first * 0.625))
                _require(values[-1] >= 1, step)
            case "sum":
                values.append((sum(given_sizes) + step.number) // 2)
                _require(values[-1] >= 1, step)
            case "extreme":
                values.append(max(given_sizes) if step.flag else min(given_sizes))
            case "multiple":
                _require(first % step.number == 0, step)
            case "meet":
                unlike = set(given_sizes)
                if stretching and step.flag:
                    unlike.discard(1)
                _require(len(unlike) <= 1, step)
                values.append(max(given_sizes))


def _require(holds: bool, step: Step) -> None:
    if not holds:
        raise Refused(step)


def passes(steps: Sequence[Step], size: int, *, stretching: bool = False) -> bool:
    try:
        run(steps, size, stretching=stretching)
    except Refused:
        return False
    return True


def solved(steps: Sequence[Step]) -> Admissible:
    """What the program of a network says."""
    program = Program()
    values: list[Size] = [program.terms.free("x")]
    for step in steps:
        of = [values[i % len(values)] for i in step.of]
        match step.kind:
            case "map":
                values.append(program.apply(step.phi, of[0], step))
            case "scale":
                values.append(program.scale(0.625, of[0], step))
            case "sum":
                values.append(program.terms.linear([(each, 1) for each in of], step.number, 2))
                program.require_least(values[-1], 1, step)
            case "extreme":
                values.append(program.terms.extreme(of, largest=step.flag))
            case "multiple":
                program.require_multiple(of[0], step.number, step)
            case "meet":
                values.append(program.meet(of, step, stretches=step.flag))
    answer = solve(program)
    assert not answer.ties
    return answer.admissible[0] if answer.admissible else Admissible((), ALL_SIZES)


WINDOWS = [
    *(strided(Axis(k, s, 1, p, p)) for k, s, p in [(3, 1, 1), (3, 1, 0), (2, 2, 0), (3, 2, 1)]),
    *(strided(Axis(k, s), ceil_mode=True) for k, s in [(2, 2), (3, 2)]),
    *(transposed(Axis(k, 2, 1, p, p), op) for k, p, op in [(2, 0, 0), (4, 1, 0), (3, 1, 1)]),
    *(strided(Axis(3, 3)), same(2), same(3), from_blocks(2), from_blocks(3), to_blocks(2)),
    *(padded(1, 1), padded(0, -1), padded(-3, 0)),
]


def networks() -> st.SearchStrategy[list[Step]]:
    """Random networks of up to ten steps."""
    index = st.integers(0, 20)
    two = st.tuples(index, index)
    return st.lists(
        st.one_of(
            st.builds(Step, st.just("map"), st.tuples(index), st.sampled_from(WINDOWS)),
            st.builds(Step, st.just("map"), st.tuples(index), st.sampled_from(WINDOWS)),
            st.builds(Step, st.just("scale"), st.tuples(index)),
            st.builds(Step, st.just("sum"), two, number=st.integers(-2, 3)),
            st.builds(Step, st.just("extreme"), two, flag=st.booleans()),
            st.builds(Step, st.just("meet"), two, flag=st.booleans()),
            st.builds(Step, st.just("multiple"), st.tuples(index), number=st.integers(2, 3)),
        ),
        max_size=10,
    )


def tried(steps: Sequence[Step], up_to: int) -> dict[int, bool]:
    return {size: passes(steps, size) for size in range(1, up_to)}


class TestRandomNetworks:
    """The solution of a program against putting sizes through it."""

    @settings(law, max_examples=300)
    @given(networks())
    def test_exactly_the_admissible_sizes_pass(self, steps: list[Step]) -> None:
        """A size passes exactly when it is in the set; two periods of sizes are tried."""
        answer = solved(steps)
        if answer.doubts:
            return
        last = min(answer.sizes.start + 2 * answer.sizes.period + 40, 2000)
        assert not disagreements(lambda size: size in answer.sizes, tried(steps, last))

    @settings(law, max_examples=300)
    @given(networks())
    def test_exactly_the_stretched_sizes_pass_by_stretching(self, steps: list[Step]) -> None:
        """Sizes that pass only because maps of size 1 are stretched are listed, and no others."""
        answer = solved(steps)
        if answer.doubts:
            return
        stretched = [
            size
            for size in range(1, 200)
            if size not in answer.sizes and passes(steps, size, stretching=True)
        ]
        assert list(answer.stretched) == stretched

    @settings(law, max_examples=100)
    @given(networks())
    def test_the_limits_make_the_set(self, steps: list[Step]) -> None:
        """The requirements named as forcing are those the set follows from."""
        answer = solved(steps)
        for size in range(1, 60):
            assert (size in answer.sizes) == all(size in each.sizes for each in answer.forced_by)

    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param(lambda s: s._replace(start=s.start + 16), id="too late a start"),
            pytest.param(lambda s: s._replace(period=8), id="half the period"),
            pytest.param(lambda s: s._replace(period=32), id="twice the period"),
            pytest.param(lambda s: s._replace(sporadic=(3,)), id="one size too many"),
        ],
    )
    def test_trying_finds_faults(self, fault: Callable[[SizeSet], SizeSet]) -> None:
        """Sizes tried one by one accuse a set that is slightly off."""
        steps = unet(4, strided(Axis(2, 2)), transposed(Axis(2, 2)))
        right = solved(steps).sizes
        truth = tried(steps, 100)
        assert not disagreements(lambda size: size in right, truth)
        wrong = fault(right)
        if wrong.sporadic:
            wrong = wrong._replace(start=4)
        assert disagreements(lambda size: size in wrong, truth)


def unet(levels: int, down: SizeMap, up: SizeMap, *, stretches: bool = False) -> list[Step]:
    """An encoder and a decoder with a skip at each level."""
    steps = [Step("map", (level,), down) for level in range(levels)]
    at = levels
    for level in reversed(range(levels)):
        steps += [Step("map", (at,), up), Step("meet", (at + 1, level), flag=stretches)]
        at += 2
    return steps


HALVE, TRIPLE = strided(Axis(2, 2)), strided(Axis(3, 3))
CONV2 = strided(Axis(3, 2, 1, 1, 1))


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        (unet(4, HALVE, transposed(Axis(2, 2))), "x % 16 == 0"),
        (unet(3, CONV2, transposed(Axis(4, 2, 1, 1, 1))), "x % 8 == 0"),
        (unet(3, CONV2, transposed(Axis(3, 2, 1, 1, 1), 1)), "x % 8 == 0"),
        (unet(3, CONV2, transposed(Axis(3, 2, 1, 1, 1))), "x % 8 == 1"),
        (unet(2, TRIPLE, SizeMap(3)), "x % 9 == 0"),
        (unet(2, strided(Axis(2, 2), ceil_mode=True), SizeMap(2)), "x % 4 == 0"),
        (unet(1, padded(-2, -2), SizeMap()), "no x"),
        (unet(1, SizeMap(1, -2, 2, 4), transposed(Axis(6, 2, 1, 1, 1))), "x % 2 == 0, at least 4"),
        (unet(6, HALVE, SizeMap(2)), "x % 64 == 0"),
        (unet(3, SizeMap(), SizeMap()), "any x"),
    ],
)
def test_encoders_with_skips(steps: list[Step], words: str) -> None:
    """Known encoder-decoder shapes admit the sizes they are known to admit."""
    assert condition(solved(steps).sizes, "x") == words


def test_the_deepest_merge_comes_first() -> None:
    """Of merges that force the set alike, the first in the network is named first."""
    steps = unet(3, HALVE, SizeMap(2))
    places = [limit.requirement.place for limit in solved(steps).forced_by]
    assert places == [step for step in steps if step.kind == "meet"]


def test_stretching_is_told_apart() -> None:
    """A merge that would stretch a map of size 1 admits no such size, but lists it."""
    third = strided(Axis(3, 3, 1, 1, 1))
    answer = solved(unet(1, third, SizeMap(3), stretches=True))
    assert condition(answer.sizes, "x") == "x % 3 == 0"
    assert answer.stretched == (1,)


def test_unequal_slopes_meet_once() -> None:
    """A map that shrinks and one that does not meet at a finite number of sizes, all found."""
    steps = [Step("map", (0,), padded(5, 5)), Step("map", (0,), SizeMap(2)), Step("meet", (1, 2))]
    assert solved(steps).sizes == only([10])
    far = [
        Step("map", (0,), SizeMap(1, 10**9)),
        Step("map", (0,), SizeMap(2)),
        Step("meet", (1, 2)),
    ]
    assert solved(far).sizes == only([10**9])


def test_a_number_decides_an_interval() -> None:
    """floor((x + 31) / 32) == 7 holds from 193 to 224, also for large numbers."""
    program = Program()
    x = program.terms.free("x")
    program.meet([program.apply(same(32), x, "pool"), 7], "gemm", stretches=False)
    assert solve(program).admissible[0].sizes == only(range(193, 225))
    program = Program()
    x = program.terms.free("x")
    program.meet([program.apply(same(3), x, "pool"), 10**12], "gemm", stretches=False)
    assert solve(program).admissible[0].sizes == only(range(3 * 10**12 - 2, 3 * 10**12 + 1))


def test_numbers_alone_are_judged_at_once() -> None:
    """Without an unknown there is nothing to solve: what does not hold is impossible."""
    program = Program()
    program.meet([30, 28], "skip", stretches=True)
    program.meet([30, 1, 30], "gate", stretches=True)
    program.require_multiple(7, 2, "blocks")
    program.require_least(2, 3, "window")
    assert [each.place for each in program.impossible] == ["skip", "blocks", "window"]
    assert solve(program) == Solution((), ())


def test_beyond_the_largest_period_there_is_doubt() -> None:
    """A period over the limit is not tabulated: the sizes tried are listed instead."""
    answer = solved(unet(13, HALVE, SizeMap(2)))
    assert answer.doubts
    assert f"every {2 * LARGEST_PERIOD:,}" in answer.doubts[0].reason
    assert answer.tried == ()
    rounded = Program()
    x = rounded.terms.free("x")
    rounded.meet([rounded.scale(7 / 3, x, "up"), rounded.terms.linear([(x, 7)], 0, 3)], "skip",
                 stretches=False)  # fmt: skip
    doubtful = solve(rounded).admissible[0]
    assert "float32" in doubtful.doubts[0].reason
    assert doubtful.tried is not None
    assert 27 not in doubtful.tried
    assert {3, 30} <= set(doubtful.tried)


def test_a_great_many_requirements_end_in_doubt() -> None:
    """No network that makes sense asks for thousands of different things; time stays bounded."""
    program = Program()
    x = program.terms.free("x")
    for step in range(1, 3000):
        half = program.terms.linear([(x, 1)], 0, 2)
        program.meet([x, program.terms.linear([(half, 2), (x, step)], 0, step + 1)], step,
                     stretches=True)  # fmt: skip
    answer = solve(program).admissible[0]
    assert [doubt.requirement.place for doubt in answer.doubts] == [1001]
    assert answer.sizes == size_set(1, 2, {0})


class TestSeveralUnknowns:
    """Unknowns that depend on each other."""

    def test_maps_that_meet_make_their_unknowns_equal(self) -> None:
        """Two inputs that meet are one unknown, whatever each must be besides."""
        program = Program()
        one, other = program.terms.free("one"), program.terms.free("other")
        half = program.apply(HALVE, one, "pool")
        program.meet([one, other], "inputs", stretches=False)
        program.meet([program.apply(SizeMap(2), half, "up"), other], "skip", stretches=False)
        (answer,) = solve(program).admissible
        assert answer.free == (one, other)
        assert answer.sizes == size_set(1, 2, {0})

    def test_a_product_has_a_solution_for_each_factorisation(self) -> None:
        """Flattened to 3 h w = 3 * 49 behind five halvings: every pair that gives it is found."""
        program = Program()
        h, w = program.terms.free("h"), program.terms.free("w")
        sides: list[Size] = [h, w]
        for _ in range(2):
            sides = [program.apply(CONV2, side, "conv") for side in sides]
        program.meet([program.terms.product([3, *sides]), 3 * 49], "gemm", stretches=False)
        (tie,) = solve(program).ties
        assert tie.free == (h, w)
        found = {
            (one, other)
            for left, right in tie.solutions
            for one in left.up_to(210)
            for other in right.up_to(210)
        }
        shrunk = [-(-size // 4) for size in range(1, 210)]
        truth = {
            (one + 1, other + 1)
            for one, left in enumerate(shrunk)
            for other, right in enumerate(shrunk)
            if left * right == 49
        }
        assert found == truth
        assert tie.solutions[0] == (only(range(25, 29)), only(range(25, 29)))

    def test_a_product_respects_what_else_is_required(self) -> None:
        """Solutions whose sizes are not admissible by themselves are left out."""
        program = Program()
        h, w = program.terms.free("h"), program.terms.free("w")
        program.require_multiple(h, 2, "blocks")
        program.meet([program.terms.product([h, w]), 36], "gemm", stretches=False)
        (tie,) = solve(program).ties
        pairs = {(left.smallest, right.smallest) for left, right in tie.solutions}
        assert pairs == {(2, 18), (4, 9), (6, 6), (12, 3), (18, 2), (36, 1)}

    def test_products_that_must_be_several_numbers(self) -> None:
        """Two products of the same unknowns leave the pairs that satisfy both."""
        program = Program()
        h, w = program.terms.free("h"), program.terms.free("w")
        half = program.apply(HALVE, h, "pool")
        program.meet([program.terms.product([h, w]), 36], "one", stretches=False)
        program.meet([program.terms.product([half, w]), 16], "other", stretches=False)
        (tie,) = solve(program).ties
        assert [(left.smallest, right.smallest) for left, right in tie.solutions] == [(9, 4)]

    def test_blocks_of_both_sides_come_apart(self) -> None:
        """From h w == 4 floor(h / 2) floor(w / 2) it follows that both are even."""
        program = Program()
        h, w = program.terms.free("h"), program.terms.free("w")
        halves = [program.terms.linear([(each, 1)], 0, 2) for each in (h, w)]
        whole = program.terms.product([h, w])
        program.meet([whole, program.terms.product([4, *halves])], "cut", stretches=False)
        answer = solve(program)
        assert not answer.ties
        assert [each.sizes for each in answer.admissible] == [size_set(1, 2, {0})] * 2
        program.meet([whole, program.terms.product([3, *halves])], "odd", stretches=False)
        assert [len(each.doubts) for each in solve(program).admissible] == [1, 1]

    def test_a_square_is_one_unknown(self) -> None:
        """H h == 49 is solved like any size that rises, and 50 is no square."""
        for number, sizes in ((49, only([7])), (50, NO_SIZE)):
            program = Program()
            h = program.terms.free("h")
            program.meet([program.terms.product([h, h]), number], "gemm", stretches=False)
            assert solve(program).admissible[0].sizes == sizes

    def test_anything_else_is_in_doubt(self) -> None:
        """H + w == 10 is no product: neither unknown is said to be free of it."""
        program = Program()
        h, w = program.terms.free("h"), program.terms.free("w")
        program.meet([program.terms.linear([(h, 1), (w, 1)]), 10], "concat", stretches=False)
        answer = solve(program)
        assert not answer.ties
        assert [len(each.doubts) for each in answer.admissible] == [1, 1]

    def test_what_is_unknown_is_in_doubt_only_where_it_depends_on_an_unknown(self) -> None:
        """A number of detections decides nothing; a size nobody follows is a doubt."""
        program = Program()
        h = program.terms.free("h")
        program.meet([h, program.terms.opaque([], "detections")], "ignored", stretches=False)
        assert solve(program) == Solution((), ())
        program.meet([h, program.terms.opaque([h], "a custom operator")], "met", stretches=False)
        doubts = [doubt for each in solve(program).admissible for doubt in each.doubts]
        assert any("a custom operator" in doubt.reason for doubt in doubts)


def test_meetings_are_remembered_once() -> None:
    """The same maps that meet twice make one requirement."""
    program = Program()
    h = program.terms.free("h")
    half = program.apply(HALVE, h, "pool")
    for _ in range(3):
        program.meet([half, h], "skip", stretches=False)
    meetings = [each for each in program.requirements if isinstance(each, Meeting)]
    assert len(meetings) == 1
