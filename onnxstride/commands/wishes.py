"""What the ignore command says of a wish: the node it is about, and the findings it matches now."""

from typing import TYPE_CHECKING, NamedTuple

from ..errors import UsageError
from ..wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..engine.model_ignores import Entry
    from ..engine.results import FileReport
    from ..registry import LoadedRule


class Lint(NamedTuple):
    """What is to be said of the findings that wishes are about: options as they were given."""

    input_shapes: tuple[str, ...]
    dims: tuple[str, ...]
    folders: tuple[str, ...]
    config: str | None
    isolated: bool


def path_of(node: str, paths: "Sequence[str]") -> str:
    """The node that is meant, be it spelled as it is or as it is printed.

    Raises:
        UsageError: there is none.
    """
    from ..nearest import did_you_mean
    from ..report.terminal import printable

    if node in paths:
        return node
    shown = {printable(path): path for path in paths}
    if node in shown:
        return shown[node]
    inner = [path for path in shown if path.endswith(f" > {node}")]
    hint = f"; did you mean {inner[0]!r}?" if inner else did_you_mean(node, shown)
    raise UsageError(f"the model has no node {node!r}{hint}")


class Found(NamedTuple):
    """What lint says now of the rules that wishes are about."""

    report: "FileReport"
    rules: "Sequence[LoadedRule]"

    @classmethod
    def of(
        cls,
        name: str,
        rules: "Sequence[LoadedRule]",
        meant: "Sequence[LoadedRule]",
        lint: Lint,
    ) -> "Found":
        """What it says of the file; sizes and thresholds are those it would have in a lint."""
        from ..config import Configs
        from ..engine.bindings import parse_bindings, refuse_unknown
        from ..engine.lint import lint_file
        from ..engine.settings import Asked, Settings

        bindings = parse_bindings(lint.input_shapes, lint.dims)
        asked = Asked(bindings=bindings, heeds_ignores=False)
        setting = Settings(rules, asked, Configs(lint.config, isolated=lint.isolated)).of(name)
        report = lint_file(name, meant, setting.policy)
        refuse_unknown(bindings, [report])
        return cls(report, meant)

    def sentence(self, entry: "Entry", *, is_new: bool) -> str:
        """What is to be said of a wish."""
        done = "is ignored" if is_new else "was ignored already"
        return f"{named(entry)} {done}: {self._matches(entry)}"

    def _matches(self, entry: "Entry") -> str:
        from ..report.terminal import printable
        from ..selection import selects

        matches = [
            finding
            for finding in self.report.findings
            if selects(entry.code, finding) and entry.node in (None, finding.node.path)
        ]
        if matches:
            return counted(len(matches), "finding")
        if self.report.error is not None:
            code, message = self.report.error
            return f"what it matches is not known, {code}: {printable(message)}"
        meant = [loaded for loaded in self.rules if selects(entry.code, loaded)]
        if not self.report.ran & {loaded.code for loaded in meant}:
            return "what it matches is told by lint --probe"
        return "no finding matches it now"


def named(entry: "Entry") -> str:
    from ..report.terminal import printable

    return f"{entry.code} at {'every node' if entry.node is None else printable(entry.node)}"
