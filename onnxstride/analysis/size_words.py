"""A limit of sizes in sentences: the set, what goes wrong outside of it, what to do.

And in figures, for those who read JSON.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..geometry.deciding import sizes_at
from ..geometry.size_program import Meeting
from ..geometry.size_sets import SizeSet, condition, runs
from ..wording import listing
from .size_limits import LimitKind, SizeLimit
from .sizes import Cause, InputSize

_LONGEST = 400
_EXAMPLE = 64
_LISTED = 64
_ROOM = 160
_LONGEST_NAME = 32


def size_words(limit: SizeLimit) -> str:
    """What a limit means to whoever feeds the model, in at most 400 characters."""
    if limit.kind is LimitKind.UNPROVEN:
        return _unproven(limit)
    if limit.tied is not None:
        return _paired(limit)
    if limit.mismatch is not None:
        found = listing(map(str, sizes_at(limit.mismatch.requirement, 1)))
        return f"maps that meet here are {found} long, and no input makes them fit."
    if limit.kind is LimitKind.MISFIT:
        return _misfit(limit)
    return _impossible(limit) if limit.kind is LimitKind.IMPOSSIBLE else _restricted(limit)


def size_figures(limit: SizeLimit) -> dict[str, Any]:
    """The figures behind the words, ready for JSON."""
    return {
        "limit": limit.kind.value,
        "sizes": [_figures(size) for size in limit.sizes],
        "places": list(dict.fromkeys(cause.node.name for cause in limit.causes)),
    }


def _figures(size: InputSize) -> dict[str, Any]:
    residues = sorted(size.sizes.residues)
    return {
        "name": size.name,
        "dims": [{"input": at.input, "dim": at.dim} for at in size.dims],
        "declared": size.declared,
        "condition": condition(size.sizes, size.name),
        "smallest": size.sizes.smallest,
        "period": size.sizes.period,
        "residues": residues if len(residues) <= _LISTED else None,
        "stretched": size.stretched[:_LISTED],
    }


def _sentences(first: str, *more: str) -> str:
    """The first sentence, and those after it that there is room for."""
    text = first
    for sentence in more:
        if sentence and len(text) + 1 + len(sentence) <= _LONGEST:
            text = f"{text} {sentence}"
    return text


def _unproven(limit: SizeLimit) -> str:
    (size,) = limit.sizes
    proven = "" if size.sizes.is_bounded_below_only else f"; {condition(size.sizes, _name(size))}"
    tried = "" if size.tried is None else f"; of those up to 4096, {len(size.tried)} fit"
    return f"which {_name(size)} fit is not proven: {limit.reason}{proven}{tried}"


def _restricted(limit: SizeLimit) -> str:
    others = len({cause.node for cause in limit.causes}) - 1
    more = "" if not others else f" ({others} more place{'s' if others > 1 else ''} like this)"
    cure = "resize, crop or pad to the size of the skip" if limit.is_merge else "pad the input"
    return _sentences(
        f"{_what(limit)} only where {_conditions(limit.sizes)}{more}"
        f"{_example(limit.sizes[0], limit.causes[0])}.",
        f"Feed such sizes, or {cure}.",
        _stretched(limit.sizes[0]),
    )


def _impossible(limit: SizeLimit) -> str:
    size = limit.sizes[0]
    names = listing(_name(each) for each in limit.sizes)
    alone = next((cause for cause in limit.causes if cause.sizes.is_empty), None)
    if alone is not None:
        first = f"{_what(limit)} for no {names}{_example(size, alone)}."
    else:
        needs = [
            f"{_short(cause.node.name)} {condition(cause.sizes, 'it')}"
            for cause in limit.causes[:3]
        ]
        first = f"no {_name(size)} fits everywhere: {'; '.join(needs)}."
    cure = "Resize, crop or pad to the size of the skip." if limit.is_merge else ""
    return _sentences(first, cure, _stretched(size))


def _misfit(limit: SizeLimit) -> str:
    size, cause = limit.sizes[0], limit.causes[0]
    assert size.declared is not None
    declared = listing(f"{_name(each)} = {each.declared}" for each in limit.sizes)
    found = ""
    if isinstance(cause.requirement, Meeting):
        met = listing(map(str, sizes_at(cause.requirement, size.declared)))
        found = f": maps that meet here are {met} long" if limit.is_merge else ""
    if size.declared in size.stretched:
        first = f"{declared} runs only because size 1 is stretched, silently{found}."
    else:
        verb = "does" if len(limit.sizes) == 1 else "do"
        first = f"{declared} {verb} not fit{found}."
    return _sentences(first, f"Sizes that fit: {_conditions(limit.sizes)}.", _nearest(size))


def _paired(limit: SizeLimit) -> str:
    tied = limit.tied
    assert tied is not None
    first, second, node = tied.first, tied.second, f"this {limit.node.op_type}"
    if not tied.pairs:
        return f"{node} fits no {_name(first)} and {_name(second)}: no two sizes have its product."
    pairs = "; ".join(
        f"{condition(left, _name(first))} with {condition(right, _name(second))}"
        for left, right in tied.pairs[:2]
    )
    rest = len(tied.pairs) - 2
    more = "" if rest < 1 else f"; {rest} more pair{'s' if rest > 1 else ''}"
    if limit.kind is LimitKind.MISFIT:
        declared = f"{_name(first)} = {first.declared} and {_name(second)} = {second.declared}"
        return _sentences(f"{declared} do not fit {node}.", f"Pairs that fit: {pairs}{more}.")
    return _sentences(
        f"{node} fits only pairs of sizes: {pairs}{more}.", "Pool to a fixed size to take any."
    )


def _what(limit: SizeLimit) -> str:
    if limit.is_merge:
        return "maps that meet here have one size"
    return f"this {limit.node.op_type} fits"


def _conditions(sizes: Iterable[InputSize]) -> str:
    """What the sizes must be, as many as there is room for."""
    conditions = list(dict.fromkeys(condition(size.sizes, _name(size)) for size in sizes))
    shown = conditions[:1]
    for each in conditions[1:]:
        if sum(map(len, shown)) + len(each) > _ROOM:
            break
        shown.append(each)
    rest = len(conditions) - len(shown)
    return listing([*shown, f"{rest} more"] if rest else shown)


def _name(size: InputSize) -> str:
    return _short(size.name)


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}.."


def _example(size: InputSize, cause: Cause) -> str:
    """What meets at a size that does not fit."""
    at = _outside(cause.sizes, size.declared or size.sizes.smallest or _EXAMPLE)
    if at is None or not isinstance(cause.requirement, Meeting):
        return ""
    found = listing(map(str, sizes_at(cause.requirement, at)))
    return f": at {_name(size)} = {at} they are {found} long"


def _outside(sizes: SizeSet, above: int) -> int | None:
    """The first size from ``above`` on that is not in the set."""
    for size in range(above, above + sizes.period + len(sizes.sporadic) + 2):
        if size not in sizes:
            return size
    return None


def _nearest(size: InputSize) -> str:
    assert size.declared is not None
    below, above = size.sizes.at_or_below(size.declared), size.sizes.at_or_above(size.declared)
    near = [str(each) for each in (below, above) if each is not None]
    if not near:
        return ""
    return f"Nearest to {size.declared}: {listing(near)}."


def _stretched(size: InputSize) -> str:
    if not size.stretched:
        return ""
    return (
        f"{_name(size)} in {{{runs(size.stretched)}}} runs all the same: maps of size 1 are "
        f"stretched, silently."
    )
