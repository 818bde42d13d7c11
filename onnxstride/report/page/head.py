"""What stands at the top of the page: the model in a few figures and sentences."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from ...engine.anatomy import AdmissibleSize, Anatomy, LayerFigures
from ...rule import Finding, NodeRef, Severity
from ...wording import listing
from ..terminal import printable
from . import words
from .pyramid import is_pooled

_EXAMPLES = 5
_NAMED = 3


class Figure(NamedTuple):
    """A figure, what it is, and what there is to add."""

    what: str
    value: str
    more: str


class Size(NamedTuple):
    """The sizes that a dimension of the inputs may have, in words."""

    name: str
    where: str
    rule: str
    examples: str
    declared: str
    forced_by: str
    is_proven: bool


def figures(anatomy: Anatomy, findings: Sequence[Finding], ignored: int = 0) -> Iterator[Figure]:
    """The model in a line of figures; ``ignored`` findings are not among the others."""
    layers, summary = anatomy.layers, anatomy.summary
    yield Figure("layers", f"{len(layers):,}", "")
    strided = [each for each in layers if each.total_stride and None not in each.total_stride]
    if strided:
        yield _stride(strided)
    spread = [each for each in layers if not is_pooled(each)]
    if spread and None not in spread[-1].receptive_field:
        yield _sight(spread[-1])
    yield _count("parameters", summary.parameters)
    yield _count("multiply-adds", summary.multiply_adds)
    yield Figure("findings", *_findings(findings, ignored))


def _stride(strided: Sequence[LayerFigures]) -> Figure:
    """The largest total stride, or the smallest of a model that only enlarges."""
    coarsest = max(strided, key=_grain)
    finest = min(strided, key=_grain)
    which, what = (coarsest, "largest") if _grain(coarsest) > 1 else (finest, "smallest")
    size = "" if None in which.output_size else f"a map of {words.by(which.output_size)}"
    return Figure(f"{what} total stride", words.axes(which.total_stride), size)


def _grain(layer: LayerFigures) -> Fraction:
    return max(stride or Fraction(0) for stride in layer.total_stride)


def _sight(last: LayerFigures) -> Figure:
    least, image = words.axes(last.min_receptive_field), words.by(last.image_size)
    most = words.axes(last.receptive_field)
    more = f"at least {least}" if least != most else ""
    of = f"of {image}" if None not in last.image_size else ""
    return Figure("seen by the last layer", most, ", ".join(filter(None, [more, of])))


def _count(what: str, count: int | None) -> Figure:
    if count is None:
        return Figure(what, words.UNKNOWN, "some size is not known")
    short = words.compact(count)
    return Figure(what, short, "" if short == f"{count:,}" else f"{count:,}")


def _findings(findings: Sequence[Finding], ignored: int) -> tuple[str, str]:
    counts = [
        words.plural(sum(each.severity is severity for each in findings), severity.value)
        for severity in Severity
    ]
    counts.append(f"{ignored:,} ignored")
    return f"{len(findings):,}", ", ".join(each for each in counts if not each.startswith("0 "))


def sizes(admissible: Iterable[AdmissibleSize]) -> Iterator[Size]:
    for size in admissible:
        named = [words.name(node.name) for node in size.forced_by[:_NAMED]]
        if len(size.forced_by) > _NAMED:
            named.append(f"{len(size.forced_by) - _NAMED} more")
        yield Size(
            words.name(size.name),
            words.name(listing(f"{name}[{dim}]" for name, dim in size.dims)),
            printable(size.rule),
            _examples(size),
            "" if size.declared is None else f"{size.declared:,}",
            listing(named) if named else "",
            size.is_proven,
        )


def _examples(size: AdmissibleSize) -> str:
    """The first sizes that fit, where the rule does not name them itself."""
    if not 0 < len(size.residues) < size.period:
        return ""
    first = sorted((residue - size.start) % size.period for residue in size.residues)[:_EXAMPLES]
    periods = range(-(-_EXAMPLES // len(first)))
    fitting = [size.start + size.period * turn + offset for turn in periods for offset in first]
    return ", ".join(f"{each:,}" for each in [*size.sporadic, *fitting][:_EXAMPLES])


class First(NamedTuple):
    """The first layer that looks at the image, and its number."""

    words: str
    number: int


def first_layer(anatomy: Anatomy, numbers: Mapping[NodeRef, int]) -> First | None:
    layer = anatomy.summary.first_layer
    if layer is None:
        return None
    kernel, stride = words.by(layer.kernel or ()), words.by(layer.stride or ())
    return First(f"{layer.op_type} {kernel}, stride {stride}", numbers[layer.node])
