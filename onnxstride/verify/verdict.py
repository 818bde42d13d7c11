"""What a verification found: frozen, picklable values, true only when good."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

from ..rule import NodeRef, Safety


class Verdict(StrEnum):
    """The answer in one word."""

    PASS = "pass"  # noqa: S105 - not a password
    FAIL = "fail"
    NOT_CHECKED = "not-checked"

    def __bool__(self) -> bool:
        return self is Verdict.PASS


@dataclass(frozen=True, slots=True)
class Worst:
    """The element that is furthest off: in which feed, where in the output, and its two values.

    Values of strings are the strings; of numbers, floats.
    """

    feed: str
    index: tuple[int, ...]
    before: float | str
    after: float | str


@dataclass(frozen=True, slots=True)
class OutputFigures:
    """One output over all feeds; d is after - before, elementwise.

    Args:
        name: of the output, in the model before.
        shape_before: in the feed that ``worst`` is in, or in the first whose shapes differ.
        shape_after: in the same feed.
        dtype: numpy's name of the type, in the model before.
        compared: elements that could be compared: all but those that are NaN in both.
        max_abs: largest |d|; infinite where only one of the two is NaN.
        mean_abs: mean |d|.
        max_rel: largest |d| / |before| where before is not 0.
        p99_abs: the largest, over the feeds, of the 99th percentile of |d| within one feed. It is
            the exact percentile, rounded up to an element.
        snr_db: 10 log10(sum before^2 / sum d^2).
        psnr_db: 10 log10(range^2 / mean d^2), the range from the least to the largest value before.
        cosine: of the angle between before and after, all feeds taken as one long vector.
        required_atol: the ``atol`` at which it would have passed, with the ``rtol`` in force.
        rtol: the one in force.
        tolerance_used: the share of the allowed ``atol`` that was needed, in the feed that needed
            most of it; above 1 it is too much.
        worst: where |d| is largest; None where nothing differs.
        top1_agreement: share of rows whose largest element stands in the same place; None unless
            the output looks like logits: floats, ``[rows, at least 2 classes]``.
        matches: whether all of it is within tolerance.
    """

    name: str
    shape_before: tuple[int, ...]
    shape_after: tuple[int, ...]
    dtype: str
    compared: int
    max_abs: float
    mean_abs: float
    max_rel: float
    p99_abs: float
    snr_db: float
    psnr_db: float
    cosine: float
    required_atol: float
    rtol: float
    tolerance_used: float
    worst: Worst | None
    top1_agreement: float | None
    matches: bool

    def __bool__(self) -> bool:
        return self.matches


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One model gives two answers: one as it is, another at the default optimisation level.

    ``model`` is ``before`` or ``after``. ``figures`` compare the unoptimised run (its "before")
    with the optimised one; None where the optimised model did not run. ``fails`` where it counts
    against the model after; see ``pair``.
    """

    model: str
    message: str
    figures: OutputFigures | None = None
    fails: bool = False


@dataclass(frozen=True, slots=True)
class SiteVerdict:
    """What the rewrite of one node did, run on its own.

    ``cases`` counts the feeds that were compared. Of several outputs the worst figures count.
    """

    node: NodeRef
    rewrite: str
    safety: Safety
    verdict: Verdict
    cases: int
    max_abs: float
    max_rel: float
    snr_db: float
    reasons: tuple[str, ...] = ()
    outputs: tuple[OutputFigures, ...] = ()
    disagreements: tuple[Disagreement, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.verdict)


@dataclass(frozen=True, slots=True)
class ModelVerdict:
    """Whether one model computes what another does.

    ``reasons`` are sentences, one for each thing that speaks against it. ``feeds`` counts what
    was compared. ``passed_over`` lists the sizes or samples that neither model accepts, that only
    the second does where it is meant to take more, or that mean nothing (see ``legal``): they do
    not tell the two apart.
    """

    before: str
    after: str
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    outputs: tuple[OutputFigures, ...] = ()
    disagreements: tuple[Disagreement, ...] = ()
    sites: tuple[SiteVerdict, ...] = ()
    feeds: int = 0
    passed_over: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.verdict)

    def with_sites(self, sites: tuple[SiteVerdict, ...]) -> Self:
        """The same with the verdicts on sites, the worst of all being that of the whole."""
        order = (Verdict.PASS, Verdict.NOT_CHECKED, Verdict.FAIL)
        worst = max((self.verdict, *(site.verdict for site in sites)), key=order.index)
        told = tuple(
            f"{site.rewrite} at {site.node.name}: {reason}"
            for site in sites
            for reason in site.reasons
        )
        return replace(self, sites=sites, verdict=worst, reasons=(*self.reasons, *told))
