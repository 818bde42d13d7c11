"""What the functions answer with; verdicts and anatomies are those of their own packages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..rule import Finding, Severity
from .given import one_of

if TYPE_CHECKING:
    from onnx import ModelProto

    from ..engine.changes import Change, Declined
    from ..engine.delivery import Proof
    from ..engine.results import FileReport, Ignore, Ignored, Stale
    from ..verify import ModelVerdict

NEVER = "never"
"""In place of a severity: no finding is too severe."""


@dataclass(frozen=True, slots=True)
class Report:
    """What the rules say about each file; true when ``passes()``.

    Attributes:
        files: the report of each file.
        stale: what baselines record and was not found; None where no file has a baseline.
    """

    files: tuple[FileReport, ...]
    stale: tuple[Stale, ...] | None = None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings of all files, in order."""
        return tuple(finding for file in self.files for finding in file.findings)

    @property
    def ignored(self) -> tuple[Ignored, ...]:
        """The findings of all files that were let pass, in order, each with what asks for it."""
        return tuple(ignored for file in self.files for ignored in file.ignored)

    @property
    def unmatched(self) -> tuple[Ignore, ...]:
        """What asks to ignore findings and matches none, in any file it is about."""
        from ..engine.results import unmatched

        return unmatched(self.files)

    def passes(self, fail_on: Severity | str | None = None) -> bool:
        """True when every file could be read, nothing is stale, and no finding is too severe.

        ``fail_on`` is ``error``, ``warning``, ``note``, or ``never`` to let all findings pass; None
        is what the configuration of each file says, and ``warning`` without one.

        Raises:
            UsageError: it is something else.
        """
        from ..engine.results import fails, reaches

        is_good = not self.stale and all(file.error is None for file in self.files)
        if fail_on is None:
            return is_good and not fails(self.files)
        level = None if fail_on == NEVER else Severity(one_of("fail_on", fail_on, _LEVELS))
        return is_good and not any(reaches(file, level) for file in self.files)

    def __bool__(self) -> bool:
        return self.passes()

    def as_text(self, *, width: int = 80, why: bool = False) -> str:
        """The report as the command prints it.

        ``why`` also lists what was ignored, and what rules could not judge.
        """
        from ..report.text import render_text

        return render_text(self.files, width=width, why=why, stale=self.stale or ())

    def as_json(self, *, why: bool = False) -> str:
        """The report as the JSON document of the command."""
        from ..report.json import render_json

        return render_json(self.files, why=why, stale=self.stale)


_LEVELS = (*(level.value for level in Severity), NEVER)


@dataclass(frozen=True, slots=True)
class Result:
    """A rewriting; true when its outcome was proven, or was not to be.

    Attributes:
        changes: the sites that were rewritten, in order.
        declined: sites that a rewrite left as they were, and why.
        offered: how many more sites a higher ``allow`` could have had rewritten, by its name.
        proof: every site and the whole, compared; None where nothing changed or none was asked for.
        output: the file that was written; None without one.
        model: bytes of the rewritten model, where no file was named and the proof holds.
    """

    changes: tuple[Change, ...]
    declined: tuple[Declined, ...]
    offered: Mapping[str, int]
    proof: Proof | None
    output: Path | None = None
    model: bytes | None = field(default=None, repr=False)

    @property
    def verdict(self) -> ModelVerdict | None:
        """What the proof found of the whole and its sites."""
        return None if self.proof is None else self.proof.verdict

    def __bool__(self) -> bool:
        return self.proof is None or self.proof.holds

    def load(self) -> ModelProto:
        """The rewritten model, weights and all.

        Raises:
            NotProven: there is none, because the proof does not hold.
        """
        import onnx

        if self.proof is not None and not self.proof.holds:
            from ..engine.delivery import NotProven

            raise NotProven(self.proof)
        if self.model is not None:
            return onnx.load_model_from_string(self.model)
        return onnx.load(str(self.output))
