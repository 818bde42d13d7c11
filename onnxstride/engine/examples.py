"""What a rule says of its own examples, in the words that a user of it will read."""

from ..errors import OnnxstrideError
from ..graph import read_graph
from ..modelfile import parse_text
from ..registry import LoadedRule
from .lint import lint_graph
from .measured import is_about_probes


def messages_of(loaded: LoadedRule) -> dict[str, list[str]]:
    """Severity and message of each finding in the examples to be flagged, by their labels.

    Nothing of a rule about probes, for which the examples would have to be run. An example that
    cannot be judged has the error for its message, so that whoever writes a rule sees it.
    """
    if is_about_probes(loaded):
        return {}
    return {label: _said_of(text, label, loaded) for label, text in loaded.bad.items()}


def _said_of(text: str, label: str, loaded: LoadedRule) -> list[str]:
    try:
        findings, _, _ = lint_graph(read_graph(parse_text(text, label)), [loaded])
    except OnnxstrideError as error:
        return [f"not judged: {error.message}"]
    return [f"{finding.severity}: {finding.message}" for finding in findings]
