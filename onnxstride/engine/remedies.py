"""What mends a finding: every rewrite that names its rule, those that change least first."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache

from ..registry import load_rewrites
from ..rule import Finding, Remedy


@cache
def remedies_by_code() -> Mapping[str, tuple[Remedy, ...]]:
    """Rewrites by the code of the rule they mend."""
    found: dict[str, tuple[Remedy, ...]] = {}
    for loaded in load_rewrites():
        remedy = Remedy(loaded.name, loaded.rewrite.safety)
        for code in loaded.rewrite.mends:
            found[code] = (*found.get(code, ()), remedy)
    return found


def with_remedies(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings, each with its remedies; rewrites are loaded only if there is a finding."""
    return tuple(
        replace(finding, remedies=remedies_by_code().get(finding.code, ())) for finding in findings
    )
