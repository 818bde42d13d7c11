"""The table of layers, with what the rules say of each below it."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from ...engine.anatomy import LayerFigures
from ...rule import Finding, NodeRef
from ...wording import percent
from . import words

COLUMNS = (
    "kernel", "stride", "dilation", "pads", "input", "output", "total stride", "sees", "at least",
    "centre", "unread", "parameters", "multiply-adds",
)  # fmt: skip
"""Of the figures; a number, the layer and its operator come first."""

_NONE = "-"
_USUAL = {"stride": "1", "dilation": "1", "pads": "0", "centre": "0", "unread": "0 %"}


class Cell(NamedTuple):
    """``kind`` is ``u`` for figures that say nothing in particular, ``no`` where there is none."""

    text: str
    kind: str


class Row(NamedTuple):
    """A layer. ``worst`` is the severity of its worst finding, empty when it has none."""

    number: int
    name: str
    place: str
    op_type: str
    cells: tuple[Cell, ...]
    findings: tuple[Finding, ...]
    worst: str

    @property
    def is_open(self) -> bool:
        """True when its findings should be seen at once."""
        return self.worst in ("error", "warning")


def rows(
    layers: Sequence[LayerFigures], findings: Mapping[NodeRef, Sequence[Finding]]
) -> list[Row]:
    ordered = {node: tuple(sorted(found, key=_grave)) for node, found in findings.items()}
    return [
        Row(
            number,
            words.name(layer.node.name),
            words.place(layer.node),
            words.name(layer.op_type),
            tuple(_cells(layer)),
            ordered.get(layer.node, ()),
            worst(ordered.get(layer.node, ())),
        )
        for number, layer in enumerate(layers, 1)
    ]


def _grave(finding: Finding) -> int:
    return -finding.severity.rank


def worst(findings: Sequence[Finding]) -> str:
    """The worst severity, empty for no findings."""
    most = max((finding.severity for finding in findings), key=lambda each: each.rank, default=None)
    return "" if most is None else most.value


def _cells(layer: LayerFigures) -> Iterator[Cell]:
    for name, text in zip(COLUMNS, _texts(layer), strict=True):
        yield Cell(text, "no" if text == _NONE else "u" if text == _USUAL.get(name) else "")


def _texts(layer: LayerFigures) -> tuple[str, ...]:
    adds = layer.multiply_adds
    return (
        _NONE if layer.kernel is None else words.by(layer.kernel),
        words.axes(layer.stride),
        words.axes(layer.dilation),
        _pads(layer.pads),
        words.by(layer.input_size),
        words.by(layer.output_size),
        words.axes(layer.total_stride),
        words.axes(layer.receptive_field),
        words.axes(layer.min_receptive_field),
        words.axes([_short(centre) for centre in layer.centre_offset]),
        _NONE if layer.unread_share is None else percent(layer.unread_share),
        f"{layer.parameters:,}",
        words.UNKNOWN if adds is None else f"{adds:,}",
    )


def _pads(pads: Sequence[tuple[int, int]] | None) -> str:
    if pads is None:
        return _NONE
    return words.axes([str(begin) if begin == end else f"{begin}+{end}" for begin, end in pads])


def _short(value: Fraction | None) -> str | None:
    return None if value is None else f"{float(value):g}"
