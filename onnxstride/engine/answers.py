"""What a rewrite answers about one site, held to the contract of a fix."""

from __future__ import annotations

from math import prod
from typing import Any

from ..debug import is_debugging, unexpected
from ..errors import OnnxstrideError, RuleError
from ..graph.layers import Layer, Shuffle, Window
from ..registry import LoadedRewrite
from ..rewrite import Refusal
from ..rule import Safety
from ..surgery import Fragment, Replacement, Site

_MOST_STEPS = 1 << 29


def answer_of(loaded: LoadedRewrite, site: Site) -> Replacement | Refusal:
    """What comes instead of a site, or why it is left alone.

    Raises:
        RuleError: the rewrite failed, or answered with something that it may not.
    """
    if _steps(site.layer) > _MOST_STEPS:
        return Refusal("its window is too large for any new layer to stand in for it")
    try:
        answer: Any = loaded.fix(site)
        if isinstance(answer, Refusal):
            return answer
        if not isinstance(answer, Fragment):
            raise TypeError(f"expected a Fragment or a Refusal, found {answer!r}")
        replacement = answer.finished()
        _hold_to_contract(loaded, replacement, site)
    except OnnxstrideError:
        raise
    except Exception as error:
        if is_debugging():
            raise
        raise RuleError(
            f"rewrite {loaded.name} ({loaded.module}) failed at {site.ref.op_type} "
            f"{site.ref.name!r}: {unexpected(error)}"
        ) from error
    return replacement


def _steps(layer: Layer) -> int:
    """Elements that a window spans, or steps over; new weights have as many for each channel."""
    if isinstance(layer, Window):
        return prod(max(axis.extent, axis.stride) for axis in layer.axes)
    return prod(layer.blocks) if isinstance(layer, Shuffle) else 1


def safety_of(loaded: LoadedRewrite, replacement: Replacement) -> Safety:
    """What a rewrite changes at one site."""
    return replacement.safety or loaded.rewrite.safety


def _hold_to_contract(loaded: LoadedRewrite, replacement: Replacement, site: Site) -> None:
    """Raise if more changes than is allowed, or something is read of the nodes that go."""
    safety = safety_of(loaded, replacement)
    if safety.rank > min(site.allow.rank, loaded.rewrite.safety.rank):
        raise ValueError(f"the change is {safety}, which is more than is allowed")
    made = {name for node in replacement.nodes for name in node.output}
    for node in replacement.removed:
        for name in filter(None, node.outputs):
            readers = set(site.scope.consumers(name)) - set(replacement.removed)
            if name not in made and (readers or site.scope.is_output(name)):
                raise ValueError(f"nothing stands in for {name!r}, which is read")
