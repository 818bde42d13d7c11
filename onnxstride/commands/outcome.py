"""What the rewrite command has to say: on the terminal, and as a JSON document."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..output import write_file, write_stdout
from ..rule import Safety
from ..screen import in_color, width

if TYPE_CHECKING:
    from ..engine.changes import Rewritten
    from ..engine.delivery import Proof
    from ..engine.latency import Latency
    from ..probe import Probed


class Outcome(NamedTuple):
    """All there is to tell: ``timed`` and ``probed`` where they were asked for."""

    rewritten: "Rewritten"
    proof: "Proof | None"
    timed: "Latency | str | None"
    probed: "tuple[Probed, Probed] | None"


def tell_outcome(outcome: Outcome, *, why: bool, color: str) -> None:
    from ..report.probe import render_comparison
    from ..report.rewriting import render_changes, render_latency
    from ..report.verdict import render_verdict

    rewritten, proof, timed, probed = outcome
    colored = in_color(color, None)
    sites = {site.node: site for site in proof.sites} if proof is not None else {}
    text = render_changes(rewritten, sites, width=width(), color=colored, why=why)
    if proof is not None:
        measured = _measured(rewritten, proof)
        text += "\n" + render_verdict(proof.whole, width=width(), color=colored, headline=measured)
        if not proof.holds:
            text += "\nNothing was written: the rewritten model is not proven.\n"
    if probed is not None:
        text += f"\n{render_comparison(*probed, width=width())}".rstrip("\n") + "\n"
    if timed is not None:
        text += f"\n{render_latency(timed, width=width())}"
    write_stdout(text)


def _measured(rewritten: "Rewritten", proof: "Proof") -> str:
    """The first line on figures that nothing was demanded of; empty where something was."""
    if proof.is_gated or not proof.whole:
        return ""
    safety = max((change.safety for change in rewritten.changes), key=lambda each: each.rank)
    wants = " and wants fine-tuning" if safety is Safety.TRAINING else ""
    return (
        f"MEASURED  the rewrite is {safety.value}{wants}: shapes and types are as they were, and "
        f"the\nnumbers moved as follows (--min-snr, --rtol or --atol would hold them to something)"
    )


def write_outcome(report: str, model: str, target: Path | None, outcome: Outcome) -> None:
    from ..report.json import document, json_value
    from ..report.probe import probe_as_json
    from ..report.rewriting import changes_as_json, latency_as_json
    from ..report.verdict import verdict_as_json

    rewritten, proof, timed, probed = outcome
    proven = {} if proof is None else verdict_as_json(proof.verdict)
    output = None if target is None or (proof is not None and not proof.holds) else str(target)
    latency = {} if timed is None else {"latency": latency_as_json(timed)}
    names = ("before", "after")
    probes = {} if probed is None else dict(zip(names, map(probe_as_json, probed), strict=True))
    content = {
        "model": model,
        "output": output,
        **changes_as_json(rewritten),
        **proven,
        **latency,
        **({"probe": json_value(probes)} if probes else {}),
    }
    write_file(document(**content), report)
