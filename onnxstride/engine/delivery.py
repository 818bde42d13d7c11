"""Proves a rewritten model against the original, and only then puts it in its place.

The model is written beside its place under a temporary name and compared there, as the file it
will be: each site on its own, in small models cut out of both, and the whole. Nothing appears
under the final name unless that held; see ``Proof.holds``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Literal

from ..errors import OnnxstrideError
from ..modelfile.writer import write_model
from ..rule import Safety
from ..verify import (
    ModelVerdict,
    Runner,
    SiteCase,
    SiteVerdict,
    Verdict,
    VerifyOptions,
    verify,
    verify_site,
)
from .activations import image_ranges
from .changes import Change, Rewritten

External = Literal["reference", "copy"]
Tell = Callable[[str], None]


class NotProven(OnnxstrideError):
    """A rewritten model is not what it has to be; it was not written. ``proof`` says why."""

    def __init__(self, proof: Proof) -> None:
        super().__init__("the rewritten model was not written: it is not proven")
        self.proof = proof


@dataclass(frozen=True, slots=True)
class Proof:
    """What was found about a rewritten model: every site on its own, and the whole.

    ``unproven`` names sites that could not be run on their own; ``is_gated`` tells whether the
    figures of the whole were held to anything.
    """

    sites: tuple[SiteVerdict, ...]
    whole: ModelVerdict
    unproven: tuple[str, ...]
    is_gated: bool

    @property
    def verdict(self) -> ModelVerdict:
        """The whole with its sites."""
        return self.whole.with_sites(self.sites)

    @property
    def holds(self) -> bool:
        """True when nothing failed, and every site was checked on its own or in the whole.

        A model that ONNX Runtime cannot run as a whole is proven by its sites alone.
        """
        verdicts = [self.whole.verdict, *(site.verdict for site in self.sites)]
        if Verdict.FAIL in verdicts:
            return False
        return bool(self.whole) or (not self.unproven and all(self.sites) and bool(self.sites))


def deliver(
    source: Path | bytes,
    rewritten: Rewritten,
    output: Path,
    *,
    external: External = "reference",
    options: VerifyOptions | None = None,
    tell: Tell | None = None,
) -> Proof | None:
    """Write a rewritten model, proven against the file it came from.

    Args:
        source: the original: where it is, or its bytes.
        rewritten: what became of it.
        output: where to write; may be ``source``.
        external: leave external data where it is, or copy it beside the output.
        options: how to verify; None writes without proof.
        tell: called with a word on what is being done.

    Returns:
        The proof; None where none was asked for, or nothing was changed.

    Raises:
        NotProven: the proof does not hold; nothing was written.
        WriteError: the output cannot be written.
    """
    if options is None or not rewritten.changes:
        write_model(rewritten.model, output, external=external)
        return None
    found: list[Proof] = []

    def prove(written: str) -> None:
        found.append(_prove(source, Path(written), rewritten, options, output, tell))
        if not found[0].holds:
            raise NotProven(found[0])

    write_model(rewritten.model, output, external=external, check=prove)
    return found[0]


def _prove(
    source: Path | bytes,
    written: Path,
    rewritten: Rewritten,
    options: VerifyOptions,
    output: Path,
    tell: Tell | None,
) -> Proof:
    is_gated = _is_gated(options, rewritten.changes)
    with options.runner() as runner:
        sites = tuple(_sites(rewritten.changes, options, runner, tell))
        whole = verify(
            source,
            written,
            _of_the_whole(options, rewritten, is_gated=is_gated),
            runner=runner,
            tell=tell,
            names=(source.name if isinstance(source, Path) else "before", output.name),
            may_widen=any(change.widens for change in rewritten.changes),
        )
    unproven = tuple(change.node.name for change in rewritten.changes if change.cutout is None)
    return Proof(sites, whole, unproven, is_gated)


def _of_the_whole(options: VerifyOptions, rewritten: Rewritten, *, is_gated: bool) -> VerifyOptions:
    """How to compare the whole: what moves is measured on feeds like those that it is used on."""
    if not is_gated:
        options = replace(options, atol=inf)
    if options.data is not None or _is_exact(rewritten.changes):
        return options
    return replace(options, scenes=image_ranges(rewritten.model))


def _sites(
    changes: Iterable[Change], options: VerifyOptions, runner: Runner, tell: Tell | None
) -> Iterable[SiteVerdict]:
    for change in changes:
        if change.cutout is None:
            continue
        if tell is not None:
            tell(f"verifying {change.node.name}")
        case = SiteCase(
            change.cutout.before,
            change.cutout.after,
            change.node,
            change.rewrite,
            change.safety,
            change.accumulation,
            change.cutout.smallest,
            change.cutout.non_negative,
        )
        # What is demanded of the outputs is no measure for a layer in the middle of the model.
        yield verify_site(case, replace(options, min_snr=None), runner=runner)


def _is_gated(options: VerifyOptions, changes: Iterable[Change]) -> bool:
    """Exact rewrites are held to tolerances; others only to what the user asks for."""
    if _is_exact(changes):
        return True
    return (options.min_snr, options.rtol, options.atol) != (None, None, None)


def _is_exact(changes: Iterable[Change]) -> bool:
    return all(change.safety is Safety.EXACT for change in changes)
