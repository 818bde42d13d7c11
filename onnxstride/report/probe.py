"""What a probe saw, for people and for programs.

::

    probe  input image 1x3x320x320 from 0 to 1 (assumed, see --probe-range)
           output logits, period 16x16, range -1.43 to 0.506 (seen over the probes)
             image    mean      rms     peak to peak  rms of range  peak to peak of range
             grey     -0.329    0.138   0.84          18.1/255      111/255
             ...
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..wording import by
from .terminal import printable, styled, wrapped

if TYPE_CHECKING:
    from ..probe import Answer, InputProbe, OutputProbe, Probed

_INDENT = " " * 9
_HEADINGS = ("image", "mean", "rms", "peak to peak", "rms of range", "peak to peak of range")
_ASSUMED = "assumed"


def render_probe(probed: "Probed", *, width: int = 80, color: bool = False) -> str:
    """What the outputs of one model repeat, as text that ends in a newline."""
    return "\n".join(probe_lines(probed, width=width, color=color)) + "\n"


def probe_lines(probed: "Probed", *, width: int, color: bool) -> Iterator[str]:
    """The lines of that text."""
    first, *others = list(_blocks(probed, width, color)) or [[_NOTHING]]
    lead = f"  {styled('probe', 'strong', color=color)}  "
    yield lead + first[0]
    for line in [*first[1:], *(line for block in others for line in block)]:
        yield f"{_INDENT}{line}".rstrip()


_NOTHING = "nothing enlarges by weights on the way to an output: no pattern can show"


def render_comparison(before: "Probed", after: "Probed", *, width: int = 80) -> str:
    """What the strongest pattern of each output has become, as text that ends in a newline."""
    found = {output.name: output for output in after.outputs}
    lines: list[str] = []
    for output in before.outputs:
        name = printable(output.name)
        lines += wrapped(
            f"{name}: {_change(output, found.get(output.name))}", indent="", width=width
        )
    return "\n".join(["probe", *(f"  {line}" for line in lines)]) + "\n" if lines else ""


def probe_as_json(probed: "Probed") -> dict[str, Any]:
    """The same for programs; figures are in output units, shares are of the output's range."""
    return {
        "inputs": [
            {"name": each.name, "shape": each.shape, "range": _range(each)}
            for each in probed.inputs
        ],
        "outputs": [_output_as_json(each) for each in probed.outputs],
        "problem": probed.problem,
    }


def _output_as_json(output: "OutputProbe") -> dict[str, Any]:
    return {
        "name": output.name,
        "period": output.period,
        "sizes": output.sizes,
        "range": _range(output),
        "free_of_border": output.is_free,
        "problem": output.problem,
        "answers": [
            {
                "stimulus": each.stimulus,
                "mean": each.mean,
                "rms": each.rms,
                "rms_share": output.share(each.rms),
                "least_share": output.share(each.least),
                "peak_to_peak": each.peak_to_peak,
                "peak_to_peak_share": output.share(each.peak_to_peak),
                "remainder": each.remainder,
            }
            for each in output.answers
        ],
    }


def _range(of: "InputProbe | OutputProbe") -> dict[str, Any] | None:
    if of.range is None:
        return None
    return {"low": of.range.low, "high": of.range.high, "source": of.range.source}


def _blocks(probed: "Probed", width: int, color: bool) -> Iterator[list[str]]:
    inputs = [_input(each) for each in probed.inputs]
    if inputs:
        yield inputs
    for output in probed.outputs:
        yield list(_output(output, width, color))


def _input(image: "InputProbe") -> str:
    source = image.range.source
    told = f"{source}, see --probe-range" if source == _ASSUMED else source
    return (
        f"input {printable(image.name)} {by(image.shape)} from {image.range.low:g} to "
        f"{image.range.high:g} ({told})"
    )


def _output(output: "OutputProbe", width: int, color: bool) -> Iterator[str]:
    name = f"output {printable(output.name)}"
    if output.range is None or output.problem:
        for line in wrapped(f"{name}: not measured, {output.problem}", indent="", width=width - 9):
            yield styled(line, "warning", color=color)
        return
    low, high, source = output.range.low, output.range.high, output.range.source
    border = "" if output.is_free else ", the border reaches in"
    yield f"{name}, period {by(output.period)}, range {low:.3g} to {high:.3g} ({source}){border}"
    yield from _table([_row(each, output) for each in output.answers])


def _row(answer: "Answer", output: "OutputProbe") -> tuple[str, ...]:
    figures = (answer.mean, answer.rms, answer.peak_to_peak)
    shares = (answer.rms, answer.peak_to_peak)
    return (
        answer.stimulus,
        *(f"{figure:.3g}" for figure in figures),
        *(_steps(output, figure) for figure in shares),
    )


def _steps(output: "OutputProbe", figure: float) -> str:
    return f"{255 * output.share(figure):.3g}/255"


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    columns = list(zip(_HEADINGS, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    for row in zip(*columns, strict=True):
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        yield "  " + "  ".join(cells).rstrip()


def _change(before: "OutputProbe", after: "OutputProbe | None") -> str:
    strongest = before.worst
    if strongest is None:
        return f"not measured, {before.problem}"
    was = f"{_steps(before, strongest.rms)} rms ({strongest.stimulus})"
    if after is None:
        return f"{was}; now nothing enlarges by weights on the way to it, and no pattern can show"
    now = after.worst
    if now is None:
        return f"{was}; now not measured, {after.problem}"
    return f"{was}; now {_steps(after, now.rms)} ({now.stimulus})"
