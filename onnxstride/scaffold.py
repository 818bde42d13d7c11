"""The text of a new rule: a module that is a rule already, there to be changed into another.

It flags one simple thing about one type of layer, with its documentation, its examples and its
figures, so that everything that holds for a rule holds for it as written. Pure: nothing is read
and nothing is written here.
"""

import ast
from collections.abc import Iterator
from typing import NamedTuple

from .errors import UsageError
from .spelling import is_code, is_name

CURES = ("use-", "avoid-", "prefer-", "replace-", "no-", "fix-")
"""Beginnings of names that say what to do; a rule is named after what is wrong."""


class _Subject(NamedTuple):
    """What the new rule asks of a layer.

    ``figure`` is the attribute it reads, ``unknown`` why that may not be known (empty where it
    always is), ``limit`` the most it lets pass. ``what`` completes "Conv that ..", ``message``
    is said with the figure as ``{found}``. ``model`` is the example; ``bad`` and ``good`` are what
    stands in it for ``%s``.
    """

    figure: str
    limit: int
    unknown: str
    what: str
    good_label: str
    message: str
    model: str
    bad: str
    good: str


def _striding(node: str, inputs: str = "") -> _Subject:
    """A layer that moves by more than 2 positions. ``node`` holds its strides as ``%s``."""
    return _Subject(
        figure="strides",
        limit=2,
        unknown="",
        what="moves by more than 2 positions at a time",
        good_label="it moves by 2 positions",
        message="The layer moves by {found} positions at a time, more than",
        model=f"net (float[1,8,32,32] x{inputs}) => (float[1,8,P,Q] y) {{\n    y = {node}\n}}",
        bad="4,4",
        good="2,2",
    )


_SLICED = """net (float[1,8,32,32] x) => (float[1,8,P,Q] y)
<int64[2] from = {0,0}, int64[2] to = {32,32}, int64[2] axes = {2,3}, int64[2] by = {%s}> {
    y = Slice (x, from, to, axes, by)
}"""

_SUBJECTS = {
    "AveragePool": _striding("AveragePool <kernel_shape = [4,4], strides = [%s]> (x)"),
    "Conv": _striding("Conv <kernel_shape = [4,4], strides = [%s]> (x, w)", ", float[8,8,4,4] w"),
    "ConvTranspose": _striding(
        "ConvTranspose <kernel_shape = [4,4], strides = [%s]> (x, w)", ", float[8,8,4,4] w"
    ),
    "GlobalPool": _Subject(
        figure="sizes",
        limit=64,
        unknown="the size of the map is not known",
        what="sums up more than 64 positions along an axis",
        good_label="the map is small",
        message="The pool sums up {found} positions along an axis, more than",
        model="""net (float[1,8,%s] x) => (float[1,8,1,1] y) {
    y = GlobalAveragePool (x)
}""",
        bad="96,96",
        good="32,32",
    ),
    "LpPool": _striding("LpPool <kernel_shape = [4,4], strides = [%s]> (x)"),
    "MaxPool": _striding("MaxPool <kernel_shape = [4,4], strides = [%s]> (x)"),
    "Merge": _Subject(
        figure="inputs",
        limit=2,
        unknown="",
        what="joins more than 2 maps",
        good_label="it joins 2 maps",
        message="The layer joins {found} maps, more than",
        model="""net (float[1,8,4,4] a, float[1,8,4,4] b, float[1,8,4,4] c) => (float[1,C,4,4] y) {
    y = Concat <axis = 1> (%s)
}""",
        bad="a, b, c",
        good="a, b",
    ),
    "Resize": _Subject(
        figure="scales",
        limit=4,
        unknown="the scale is not known",
        what="enlarges more than 4 times",
        good_label="it enlarges twice",
        message="The layer enlarges {found:g} times, more than",
        model="""net (float[1,8,4,4] x) => (float[1,8,P,Q] y) <float[4] scales = {1,1,%s}> {
    y = Resize (x, , scales)
}""",
        bad="8,8",
        good="2,2",
    ),
    "Shuffle": _Subject(
        figure="blocks",
        limit=2,
        unknown="",
        what="moves blocks of more than 2 elements",
        good_label="the blocks are 2 elements long",
        message="The layer moves blocks of {found} elements along an axis, more than",
        model="""net (float[1,16,8,8] x) => (float[1,C,P,Q] y) {
    y = DepthToSpace <blocksize = %s> (x)
}""",
        bad="4",
        good="2",
    ),
    "StridedSlice": _Subject(
        figure="strides",
        limit=2,
        unknown="",
        what="keeps fewer than every second position",
        good_label="it keeps every second position",
        message="The slice steps by {found} positions, more than",
        model=_SLICED,
        bad="4,4",
        good="2,2",
    ),
}

LAYERS = tuple(_SUBJECTS)
"""Layer types that a new rule can be asked about."""

_MODULE = '''"""{layer} that {what}.

What is flagged
    Each {layer} that {what}.{skipped}

Why it hurts
    This example only counts. Here stands what whoever runs the model sees go wrong, and from
    which figure on.

What to do
    Here stands what mends it, and what that changes: nothing, the numbers, or the training.

When to leave it alone
    Where the figure is meant. Each such case that the rule can see is an example in GOOD.

References
    The layer types and what can be asked of them: onnxstride.api.
"""

from collections.abc import Iterator

from onnxstride.api import (
{imports}
)

RULE = Rule(
    "{code}",
    "{name}",
    Severity.WARNING,
    on=({layer},),
)

_MOST = {limit}

BAD = {{
    "it {what}": """
{bad}""",
}}
GOOD = {{
    "{good_label}": """
{good}""",
}}


def check(layer: {layer}, graph: Graph) -> Iterator[Finding | Skip]:
{body}
    if found <= _MOST:
        return
    yield RULE.flag(
        layer.ref,
        f"{message} {{_MOST}}.",
        {figure}={value},
    )
'''

_SKIPPED = """
    Where {unknown}, the rule says so and does not judge."""
_ALWAYS_KNOWN = "    found = max(layer.{figure}, default=0)"
_PERHAPS_KNOWN = """\
    known = [each for each in layer.{figure} if each is not None]
    if not known or len(known) < layer.rank:
        yield RULE.skip(layer.ref, "{unknown}")
        return
    found = max(known)"""
_COUNTED = "    found = len(layer.{figure})"


def rule_module(code: str, name: str, layer: str) -> str:
    """A rule of this code and name about one of ``LAYERS``, as the text of its module."""
    subject = _SUBJECTS[layer]
    body = _ALWAYS_KNOWN
    if subject.unknown:
        body = _PERHAPS_KNOWN
    elif layer == "Merge":
        body = _COUNTED
    names = sorted(["Finding", "Graph", layer, "Rule", "Severity", "Skip"])
    return _MODULE.format(
        code=code,
        name=name,
        layer=layer,
        imports="\n".join(f"    {each}," for each in names),
        bad=_example(subject, subject.bad, code),
        good=_example(subject, subject.good, ""),
        body=body.format(figure=subject.figure, unknown=subject.unknown),
        value="known" if subject.unknown else f"layer.{subject.figure}",
        skipped=_SKIPPED.format(unknown=subject.unknown) if subject.unknown else "",
        **{key: getattr(subject, key) for key in ("what", "limit", "good_label", "message")},
        figure=subject.figure,
    )


def _example(subject: _Subject, value: str, code: str) -> str:
    """The example, its node marked with the code where it is to be flagged."""
    lines = subject.model.replace("%s", value).splitlines()
    marked = [f"{line}  # {code}" if code and " y = " in line else line for line in lines]
    return "\n".join(f"        {line}" for line in marked)


def file_name(name: str) -> str:
    """The file that holds the rule of this name."""
    return name.replace("-", "_") + ".py"


def refuse_spelling(code: str, name: str) -> None:
    """Refuse a code or a name that a rule cannot have.

    Raises:
        UsageError: with what is wrong, and a better spelling where there is one.
    """
    if not is_code(code):
        hint = _hint(code.upper()) if is_code(code.upper()) else ", such as XY101"
        raise UsageError(
            f"expected a code of capital letters and three digits, found {code!r}{hint}"
        )
    if not is_name(name):
        better = "-".join(name.lower().replace("_", " ").replace("-", " ").split())
        hint = _hint(better) if is_name(better) else ", such as uneven-overlap"
        raise UsageError(f"expected a name of lower-case words and hyphens, found {name!r}{hint}")
    for cure in CURES:
        if name.startswith(cure):
            raise UsageError(
                f"{name!r} names a cure ({cure!r}); expected what is wrong, as in uneven-overlap"
            )


def _hint(better: str) -> str:
    return f"; did you mean {better!r}?"


def rules_in(source: str) -> Iterator[tuple[str, str]]:
    """Codes and names of the rules that the text of a module makes, without running it."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # no module, so no rule either
        return
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "Rule"
        ):
            said = [each.value for each in node.args[:2] if isinstance(each, ast.Constant)]
            words = [each for each in said if isinstance(each, str)]
            if len(words) == 2:
                yield words[0], words[1]
