"""Damaged models, and graphs with faults, never break lint or the report."""

from random import Random
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxstride.engine import lint
from onnxstride.report import anatomy

from . import reading
from .graphs import legal
from .mutations import BLIND, DEEP, Field, fields, joined, mutated
from .profile import FACTOR, law, seeded
from .seeds import small_models
from .spoiling import FAULTS, spoiled

_DAMAGED = 240
_BLOCKS = 8
_LIGHT = 80_000
MODELS = [data for _, data in small_models()]
LIGHT = [data for data in MODELS if len(data) < _LIGHT]


@pytest.mark.parametrize("block", range(_BLOCKS))
def test_damaged_models_are_read_or_refused(block: int) -> None:
    """Bytes changed at random give findings or an error that says why, never an exception."""
    for number in range(block, _DAMAGED * FACTOR, _BLOCKS):
        random = seeded(number)
        data = mutated(random.choice(LIGHT), random.choices(LIGHT, k=3), random)
        assert reading.faults(data, reading.QUICK) == [], f"number {number}"


@law(150)
@given(st.randoms(use_true_random=False))
def test_graphs_with_faults_are_read_or_refused(random: Random) -> None:
    """So do attributes, names, shapes and wires that no exporter writes."""
    data = spoiled(legal(random), random).model.SerializeToString()
    assert reading.faults(data, reading.QUICK) == []


def test_sound_models_break_no_law() -> None:
    """Every model that is damaged elsewhere is sound before, the page included."""
    data = dict(small_models())["lenet5.onnxtxt"]
    assert reading.faults(data) == []


def _break(*_: Any) -> NoReturn:
    raise ZeroDivisionError("planted")


@pytest.mark.parametrize(
    ("place", "law_of_reading"),
    [
        pytest.param((lint, "_subjects"), reading.lint_never_raises, id="lint"),
        pytest.param((lint, "_subjects"), reading.report_never_raises, id="rules of a report"),
        pytest.param((anatomy, "_row"), reading.report_never_raises, id="a report"),
        pytest.param((anatomy, "_row"), reading.page_never_raises, id="a report with its page"),
    ],
)
def test_an_exception_breaks_the_law(
    monkeypatch: pytest.MonkeyPatch, place: tuple[object, str], law_of_reading: reading.Law
) -> None:
    """An exception that nobody planned for does not pass for an error of the model."""
    monkeypatch.setattr(*place, _break)
    (fault, *_) = law_of_reading(dict(small_models())["lenet5.onnxtxt"])
    assert "ZeroDivisionError" in fault


def test_a_format_that_fails_breaks_the_law(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither does one in a format of the report."""
    monkeypatch.setattr(reading, "FORMATS", {"gitlab": _break})
    (fault,) = reading.lint_never_raises(LIGHT[0])
    assert fault.startswith("the format gitlab raised")


@pytest.mark.parametrize("data", MODELS[:6], ids=range(6))
def test_fields_are_read_and_joined_again(data: bytes) -> None:
    """A model taken apart, and its graph, are put together to the same bytes."""
    parts = fields(data)
    assert parts is not None
    assert joined(parts) == data
    graph = next(part for part in parts if part.number == 7)
    inner = fields(graph.content)
    assert inner is not None
    assert joined(inner) == graph.content


@pytest.mark.parametrize(
    "data", [b"\x00", b"\x07", b"\x0a\x05abc", b"\x08" + b"\xff" * 10, b"\x0d\x01"]
)
def test_what_is_no_message_has_no_fields(data: bytes) -> None:
    """A field without a number, of an unknown type, too long, or cut off."""
    assert fields(data) is None


def test_the_same_seed_does_the_same_damage() -> None:
    """A run can be repeated."""
    one, other = (mutated(LIGHT[1], LIGHT[:3], seeded(5)) for _ in range(2))
    assert one == other != LIGHT[1]


@pytest.mark.parametrize("change", BLIND, ids=lambda each: each.__name__)
def test_blind_damage_is_damage(change: Any) -> None:
    """Each way of changing bytes changes some, and takes an empty model as well."""
    changed = {change(LIGHT[1], LIGHT[2], seeded(seed)) for seed in range(20)}
    assert changed - {LIGHT[1]}
    assert isinstance(change(b"", b"", seeded(0)), bytes)


@pytest.mark.parametrize("change", DEEP, ids=lambda each: each.__name__)
def test_deep_damage_is_damage_and_protobuf_still(change: Any) -> None:
    """Each way of changing a field changes the message, which remains one."""
    sound = fields(LIGHT[1])
    assert sound is not None
    seen = set[tuple[Field, ...]]()
    for seed in range(20):
        parts = list(sound)
        change(parts, seed % len(parts), LIGHT[2], seeded(seed))
        assert fields(joined(parts)) == parts
        seen.add(tuple(parts))
    assert seen - {tuple(sound)}


@pytest.mark.parametrize("fault", dict.fromkeys(FAULTS), ids=lambda each: each.__name__)
def test_every_fault_changes_some_graph(fault: Any) -> None:
    """None of the faults that graphs are given leaves every graph as it is."""
    changed = 0
    for seed in range(60):
        model = legal(seeded(seed)).model
        before = model.SerializeToString(deterministic=True)
        fault(model, seeded(seed))
        changed += model.SerializeToString(deterministic=True) != before
    assert changed
