"""Loads rules and rewrites. This is the only way to them, for the engine and for tests alike.

A rule is a module with a docstring (the rule's documentation), ``RULE`` (a ``Rule``), ``check``
(a function of a layer and its graph), and ``BAD`` and ``GOOD`` (examples by label, as ONNX text).
A rewrite is a module with a docstring, ``REWRITE`` (a ``Rewrite``), ``fix`` (a function of a
site), and ``EXAMPLES`` and ``REFUSED``. Where their modules come from is ``discovery``'s affair.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from .discovery import BUILT_IN, Found, built_in, in_folders, plugins
from .errors import RuleError, UsageError
from .nearest import did_you_mean
from .rule import Finding, Rule, Skip
from .spelling import is_code, is_name

if TYPE_CHECKING:
    from .rewrite import Refusal, Rewrite
    from .surgery import Fragment, Site

__all__ = [
    "BUILT_IN",
    "LoadedRewrite",
    "LoadedRule",
    "find_either",
    "find_rewrite",
    "find_rule",
    "load_rewrites",
    "load_rules",
]

_RULES = "onnxstride.rules"  # the package of the built-in ones, and the plugins' group
_REWRITES = "onnxstride.rewrites"  # the plugins' group
_REWRITES_PACKAGE = "onnxstride.rules.rewrites"

# A check narrows the layer to the types its RULE lists in ``on``.
Check: TypeAlias = Callable[[Any, Any], Iterable[Finding | Skip]]
Fix: TypeAlias = "Callable[[Site], Fragment | Refusal]"


@dataclass(frozen=True, slots=True)
class LoadedRule:
    """A rule with all its module says, and where it came from."""

    rule: Rule
    check: Check
    documentation: str
    bad: Mapping[str, str]
    good: Mapping[str, str]
    module: str
    origin: str

    @property
    def code(self) -> str:
        return self.rule.code

    @property
    def name(self) -> str:
        return self.rule.name

    @property
    def summary(self) -> str:
        """The first paragraph of the documentation, on one line."""
        return _summary(self.documentation)


@dataclass(frozen=True, slots=True)
class LoadedRewrite:
    """A rewrite with all its module says, and where it came from."""

    rewrite: "Rewrite"
    fix: Fix
    documentation: str
    examples: Mapping[str, str]
    refused: Mapping[str, str]
    module: str
    origin: str

    @property
    def name(self) -> str:
        return self.rewrite.name

    @property
    def summary(self) -> str:
        """The first paragraph of the documentation, on one line."""
        return _summary(self.documentation)


AnyLoaded = TypeVar("AnyLoaded", LoadedRule, LoadedRewrite)


def load_rules(folders: Iterable[str] = ()) -> tuple[LoadedRule, ...]:
    """Every rule that can be found, by code.

    Args:
        folders: folders of rule modules to load besides what is installed.

    Raises:
        RuleError: a module that will not import or is no rule, a code or name taken twice.
        UsageError: a folder that holds no rule.
    """
    found = chain(built_in(_RULES), plugins(_RULES, but=_RULES), in_folders(folders))
    rules = [_as_rule(each) for each in found]
    if not rules:
        raise RuleError("no rule found: expected modules in onnxstride.rules; reinstall onnxstride")
    _refuse_duplicates("rules", rules, lambda loaded: (loaded.code, loaded.name))
    return tuple(sorted(rules, key=lambda loaded: loaded.code))


def load_rewrites() -> tuple[LoadedRewrite, ...]:
    """Every rewrite that can be found, those that change least first, then by name.

    Raises:
        RuleError: a module that will not import or is no rewrite, or a name taken twice.
    """
    found = chain(built_in(_REWRITES_PACKAGE), plugins(_REWRITES, but=_REWRITES_PACKAGE))
    rewrites = [_as_rewrite(each) for each in found]
    _refuse_duplicates("rewrites", rewrites, lambda loaded: (loaded.name,))
    return tuple(sorted(rewrites, key=lambda each: (each.rewrite.safety.rank, each.name)))


def find_rule(rules: Sequence[LoadedRule], code_or_name: str) -> LoadedRule:
    """The rule with this code or name.

    Raises:
        UsageError: there is none; the message suggests the nearest.
    """
    wanted = code_or_name.casefold()
    for loaded in rules:
        if wanted in (loaded.code.casefold(), loaded.name):
            return loaded
    known = [word for loaded in rules for word in (loaded.code, loaded.name)]
    raise UsageError(
        f"no rule has the code or name {code_or_name!r}{did_you_mean(code_or_name, known)}"
    )


def find_either(
    rules: Sequence[LoadedRule], rewrites: Sequence[LoadedRewrite], name: str
) -> LoadedRule | LoadedRewrite:
    """The rule with this code or name, or the rewrite with this name.

    Raises:
        UsageError: there is neither; the message suggests the nearest.
    """
    if any(loaded.name == name.casefold() for loaded in rewrites):
        return find_rewrite(rewrites, name)
    if any(name.casefold() in (loaded.code.casefold(), loaded.name) for loaded in rules):
        return find_rule(rules, name)
    known = [word for loaded in rules for word in (loaded.code, loaded.name)]
    known += [loaded.name for loaded in rewrites]
    raise UsageError(f"no rule or rewrite is called {name!r}{did_you_mean(name, known)}")


def find_rewrite(rewrites: Sequence[LoadedRewrite], name: str) -> LoadedRewrite:
    """The rewrite with this name.

    Raises:
        UsageError: there is none; the message suggests the nearest.
    """
    for loaded in rewrites:
        if loaded.name == name.casefold():
            return loaded
    known = [loaded.name for loaded in rewrites]
    raise UsageError(f"no rewrite has the name {name!r}{did_you_mean(name, known)}")


def _as_rule(found: Found) -> LoadedRule:
    module, where = found.module, f"rule {found.where}"
    rule, check = getattr(module, "RULE", None), getattr(module, "check", None)
    if not isinstance(rule, Rule):
        raise RuleError(
            f"{where} has {_instead(rule)} RULE: expected RULE = Rule(code, name, severity, on)"
        )
    if not callable(check):
        raise RuleError(f"{where} has no check: expected a function check(layer, graph)")
    documentation = _documentation(found, where)
    if not is_code(rule.code):
        raise RuleError(
            f"{where} has the code {rule.code!r}: expected capital letters and three digits, "
            f"such as XY101"
        )
    _refuse_spelling(rule.name, where)
    bad, good = getattr(module, "BAD", {}), getattr(module, "GOOD", {})
    return LoadedRule(
        rule, cast(Check, check), documentation, bad, good, module.__name__, found.origin
    )


def _as_rewrite(found: Found) -> LoadedRewrite:
    from .rewrite import Rewrite

    module, where = found.module, f"rewrite {found.where}"
    rewrite, fix = getattr(module, "REWRITE", None), getattr(module, "fix", None)
    if not isinstance(rewrite, Rewrite):
        raise RuleError(
            f"{where} has {_instead(rewrite)} REWRITE: expected REWRITE = Rewrite(name, safety, on)"
        )
    if not callable(fix):
        raise RuleError(f"{where} has no fix: expected a function fix(site)")
    documentation = _documentation(found, where)
    _refuse_spelling(rewrite.name, where)
    examples, refused = getattr(module, "EXAMPLES", {}), getattr(module, "REFUSED", {})
    return LoadedRewrite(
        rewrite, cast(Any, fix), documentation, examples, refused, module.__name__, found.origin
    )


def _instead(declared: object) -> str:
    """What is there in place of a declaration, with the words that lead to its name."""
    return "no" if declared is None else f"a {type(declared).__name__} for its"


def _documentation(found: Found, where: str) -> str:
    documentation = (found.module.__doc__ or "").strip()
    if not documentation:
        raise RuleError(f"{where} has no docstring; it is the documentation")
    return documentation


def _summary(documentation: str) -> str:
    return " ".join(documentation.partition("\n\n")[0].split())


def _refuse_spelling(name: str, where: str) -> None:
    """Refuse names that a selector could not tell from codes."""
    if not is_name(name):
        raise RuleError(
            f"{where} has the name {name!r}: expected lower-case words joined by hyphens"
        )


def _refuse_duplicates(
    kind: str, everything: Iterable[AnyLoaded], words: Callable[[AnyLoaded], tuple[str, ...]]
) -> None:
    taken: dict[str, AnyLoaded] = {}
    for loaded in everything:
        for word in words(loaded):
            other = taken.setdefault(word, loaded)
            if other is not loaded:
                raise RuleError(
                    f"two {kind} are called {word}: {other.module} ({other.origin}) and "
                    f"{loaded.module} ({loaded.origin}); rename or remove one"
                )
