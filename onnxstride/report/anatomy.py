"""A model's geometry as a table and a summary: for people, for spreadsheets, for programs.

The JSON document is described by ``schemas/report.schema.json``.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from io import StringIO
from typing import Any

from ..engine.anatomy import AdmissibleSize, Anatomy, LayerFigures, Stage, in_words
from ..wording import by, listing, percent
from .json import document, node_as_json
from .markdown import escaped
from .terminal import printable, styled, wrapped

_HEAD = (
    "layer", "op", "kernel", "stride", "dilation", "pads", "input", "output", "total stride",
    "sees", "at least", "centre", "unread", "parameters", "multiply-adds",
)  # fmt: skip
_NUMBERS = frozenset(["sees", "at least", "centre", "unread", "parameters", "multiply-adds"])
_WIDEST = 36


def render_anatomy(anatomy: Anatomy, *, title: str, width: int, color: bool = False) -> str:
    """The table, admissible sizes and summary as text."""
    rows = [_row(each) for each in anatomy.layers]
    lines = [
        styled(printable(title), "strong", color=color),
        *(f"  {line}" for line in _table(rows)),
        "",
        *_sizes_in_text(anatomy.admissible_sizes, width),
        *_summary_in_text(anatomy, width),
    ]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def anatomy_as_markdown(anatomy: Anatomy, *, title: str) -> str:
    """The same as Markdown."""
    lines = [f"# {escaped(title)}", ""]
    if anatomy.layers:
        lines += [
            f"| {' | '.join(_HEAD)} |",
            "|" + "".join("---:|" if name in _NUMBERS else "---|" for name in _HEAD),
            *(f"| {' | '.join(map(escaped, _row(each)))} |" for each in anatomy.layers),
            "",
        ]
    lines += [
        f"- {escaped(line)}"
        for line in (*size_lines(anatomy.admissible_sizes), *summary_lines(anatomy))
    ]
    return "\n".join(lines) + "\n"


def anatomy_as_csv(anatomy: Anatomy) -> str:
    """The table, one line a layer, with the names of the JSON document as its head."""
    rows = [layer_as_json(each) for each in anatomy.layers]
    names = ["node", "op_type", "scope", *_FIGURES]
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        row["node"] = row["node"]["name"]
        row["scope"] = " > ".join(row["scope"])
        writer.writerow(_csv_cell(row[name]) for name in names)
    return out.getvalue()


def anatomy_as_json(anatomy: Anatomy, *, path: str) -> str:
    """Everything, as one document."""
    return document(
        path=path,
        layers=[layer_as_json(each) for each in anatomy.layers],
        admissible_sizes={
            _key(each, anatomy.admissible_sizes): _size_as_json(each)
            for each in anatomy.admissible_sizes
        },
        summary=_summary_as_json(anatomy),
    )


def layer_as_json(layer: LayerFigures) -> dict[str, Any]:
    """One layer; lists have one entry per axis, null where it is not known."""
    return {
        "node": node_as_json(layer.node),
        "op_type": layer.op_type,
        "scope": list(layer.node.scope),
        "kernel": _list(layer.kernel),
        "stride": _list(layer.stride),
        "dilation": _list(layer.dilation),
        "pads": None if layer.pads is None else [list(pads) for pads in layer.pads],
        "input_size": list(layer.input_size),
        "output_size": list(layer.output_size),
        "total_stride": [_ratio(stride) for stride in layer.total_stride],
        "receptive_field": list(layer.receptive_field),
        "min_receptive_field": list(layer.min_receptive_field),
        "centre_offset": [_number(centre) for centre in layer.centre_offset],
        "unread_share": layer.unread_share,
        "parameters": layer.parameters,
        "multiply_adds": layer.multiply_adds,
    }


_FIGURES = (
    "kernel", "stride", "dilation", "pads", "input_size", "output_size", "total_stride",
    "receptive_field", "min_receptive_field", "centre_offset", "unread_share", "parameters",
    "multiply_adds",
)  # fmt: skip


def size_lines(sizes: Iterable[AdmissibleSize]) -> Iterator[str]:
    """A sentence for each size of the inputs that may be chosen."""
    for size in sizes:
        where = listing(f"{name}[{dim}]" for name, dim in size.dims)
        forced = [node.name for node in size.forced_by[:3]]
        more = f" and {len(size.forced_by) - 3} more" if len(size.forced_by) > 3 else ""
        why = f"; forced by {', '.join(forced)}{more}" if forced else ""
        doubt = "" if size.is_proven else "; not proven, some places may restrict it further"
        yield f"{size.name} ({where}): {size.rule}{_declared(size)}{why}{doubt}"


def _declared(size: AdmissibleSize) -> str:
    return "" if size.declared is None else f"; the model fixes {size.declared}"


def summary_lines(anatomy: Anatomy) -> Iterator[str]:
    """What there is to say of the model as a whole."""
    summary = anatomy.summary
    first = summary.first_layer
    if first is not None:
        assert first.kernel is not None
        assert first.stride is not None
        yield f"first layer: {first.op_type} {by(first.kernel)}, stride {by(first.stride)}"
    yield f"smaller by {summary.downsampling}"
    yield f"larger by {summary.upsampling}"
    if summary.unresolved != "nothing":
        yield f"by how much is not known: {summary.unresolved}"
    for stage in summary.stages:
        yield f"total stride {_strides(stage)}: {listing(map(in_words, stage.by))}"
    adds = "?" if summary.multiply_adds is None else f"{summary.multiply_adds:,}"
    yield f"{summary.parameters:,} parameters, {adds} multiply-adds"


def _sizes_in_text(sizes: Sequence[AdmissibleSize], width: int) -> Iterator[str]:
    if sizes:
        yield "Sizes that fit"
        for line in size_lines(sizes):
            yield from wrapped(line, indent="  ", width=width)
        yield ""


def _summary_in_text(anatomy: Anatomy, width: int) -> Iterator[str]:
    yield "Summary"
    for line in summary_lines(anatomy):
        yield from wrapped(line, indent="  ", width=width)


def _row(layer: LayerFigures) -> tuple[str, ...]:
    return (
        layer.node.name,
        layer.op_type,
        _axes(layer.kernel),
        _axes(layer.stride),
        _axes(layer.dilation),
        _pads(layer.pads),
        by(layer.input_size),
        by(layer.output_size),
        _axes(layer.total_stride),
        _axes(layer.receptive_field),
        _axes(layer.min_receptive_field),
        _axes([_short(centre) for centre in layer.centre_offset]),
        "-" if layer.unread_share is None else percent(layer.unread_share),
        f"{layer.parameters:,}",
        "?" if layer.multiply_adds is None else f"{layer.multiply_adds:,}",
    )


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if not rows:
        yield "no layer changes resolution, or slides a window"
        return
    cut = [[_shortened(printable(cell)) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(_HEAD, *cut, strict=True)]
    for row in (_HEAD, *cut):
        cells = zip(row, widths, _HEAD, strict=True)
        yield "  ".join(f"{cell:{'>' if head in _NUMBERS else '<'}{w}}" for cell, w, head in cells)


def _shortened(name: str) -> str:
    """A name that fits; of long ones the end tells more."""
    return name if len(name) <= _WIDEST else f"..{name[2 - _WIDEST :]}"


def _axes(values: Sequence[int | str | Fraction | None] | None) -> str:
    """One figure where all axes agree, else one an axis; ``-`` for none."""
    if not values:
        return "-"
    texts = ["?" if value is None else str(value) for value in values]
    return texts[0] if len(set(texts)) == 1 else "x".join(texts)


def _pads(pads: Sequence[tuple[int, int]] | None) -> str:
    if pads is None:
        return "-"
    return _axes([str(begin) if begin == end else f"{begin}+{end}" for begin, end in pads])


def _short(value: Fraction | None) -> str | None:
    return None if value is None else f"{float(value):g}"


def _strides(stage: Stage) -> str:
    return _axes(stage.total_stride)


def _csv_cell(value: Any) -> Any:
    """A list as its entries apart by spaces; text that a spreadsheet would run is quoted."""
    if isinstance(value, list):
        return " ".join(":".join(map(str, v)) if isinstance(v, list) else _plain(v) for v in value)
    if isinstance(value, str):
        shown = printable(value)
        return f"'{shown}" if value[:1] in ("=", "+", "-", "@", "\t", "\r") else shown
    return "" if value is None else value


def _plain(value: Any) -> str:
    return "?" if value is None else str(value)


def _list(values: Sequence[int] | None) -> list[int] | None:
    return None if values is None else list(values)


def _ratio(value: Fraction | None) -> int | str | None:
    if value is None:
        return None
    return value.numerator if value.denominator == 1 else str(value)


def _number(value: Fraction | None) -> int | float | None:
    if value is None:
        return None
    return value.numerator if value.denominator == 1 else float(value)


def _key(size: AdmissibleSize, sizes: Sequence[AdmissibleSize]) -> str:
    """The size's name, with its place where another has the same name."""
    if sum(each.name == size.name for each in sizes) == 1:
        return size.name
    name, dim = size.dims[0]
    return f"{size.name} of {name}[{dim}]"


def _size_as_json(size: AdmissibleSize) -> dict[str, Any]:
    return {
        "dims": [{"input": name, "dim": dim} for name, dim in size.dims],
        "declared": size.declared,
        "rule": size.rule,
        "smallest": size.smallest,
        "start": size.start,
        "period": size.period,
        "residues": list(size.residues),
        "sporadic": list(size.sporadic),
        "forced_by": [node_as_json(node) for node in size.forced_by],
        "is_proven": size.is_proven,
    }


def _summary_as_json(anatomy: Anatomy) -> dict[str, Any]:
    summary = anatomy.summary
    first = summary.first_layer
    return {
        "first_layer": None
        if first is None
        else {
            "node": node_as_json(first.node),
            "op_type": first.op_type,
            "kernel": _list(first.kernel),
            "stride": _list(first.stride),
        },
        "stages": [
            {
                "total_stride": [_ratio(stride) for stride in stage.total_stride],
                "by": [
                    {
                        "op_type": step.op_type,
                        "kernel": _list(step.kernel),
                        "factor": [_ratio(factor) for factor in step.factor],
                        "count": len(step.nodes),
                        "nodes": [node_as_json(node) for node in step.nodes],
                    }
                    for step in stage.by
                ],
            }
            for stage in summary.stages
        ],
        "downsampling": summary.downsampling,
        "upsampling": summary.upsampling,
        "unresolved": summary.unresolved,
        "parameters": summary.parameters,
        "multiply_adds": summary.multiply_adds,
    }
