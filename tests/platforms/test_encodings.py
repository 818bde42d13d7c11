"""Every command says what it has to say on a terminal that knows few characters."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from onnxstride.cli import main
from onnxstride.modelfile import parse_text

_NAMES = "größe/слой/層/\N{GRINNING FACE}"  # in cp1252: partly, in ASCII: not at all
_NET = """
    <ir_version: 10, opset_import: ["" : 22]>
    net (float[1,2,9,9] x) => (float[1,2,P,Q] y)
    {
        r = Relu (x)
        [pool] y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (r)
    }"""
_COMMANDS = {
    "lint": (0, "lint {model} --why --select ALL"),
    **{
        f"lint {form}": (0, f"lint {{model}} --select ALL --output-format {form}")
        for form in ("concise", "json", "jsonl", "sarif", "github", "gitlab", "junit", "markdown")
    },
    "report": (0, "report {model}"),
    "report csv": (0, "report {model} --output-format csv"),
    "report markdown": (0, "report {model} --output-format markdown"),
    "rewrite": (1, "rewrite {model} --use maxpool-to-exact-conv --diff"),
    "annotate": (0, "annotate {model} -o {folder}/annotated.onnx"),
    "verify": (0, "verify {model} {model}"),
    "explain": (0, "explain UP101"),
    "explain a rewrite": (0, "explain maxpool-to-conv"),
    "rules": (0, "rules"),
    "rewrites": (0, "rewrites --output-format markdown"),
    "help": (0, "lint --help"),
    "a missing file": (2, "lint {folder}/größe.onnx"),
    "a wrong option": (2, "lint --größe"),
}


def _model(folder: Path) -> Path:
    """A model whose file, node and values have names in many scripts."""
    proto = parse_text(_NET).proto
    proto.graph.node[1].name = _NAMES
    for node in proto.graph.node:
        node.input[:] = [f"{name}/層" if name == "r" else name for name in node.input]
        node.output[:] = [f"{name}/層" if name == "r" else name for name in node.output]
    path = folder / "größe-層.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


class _Terminal(io.TextIOWrapper):
    """A stream in an encoding, as the interpreter opens standard output."""

    def __init__(self, encoding: str, errors: str) -> None:
        self.held = io.BytesIO()
        super().__init__(self.held, encoding, errors, newline="\n", write_through=True)

    @property
    def text(self) -> str:
        self.flush()
        # click takes ASCII for a mistake of the surroundings, and writes its own errors in UTF-8.
        return self.held.getvalue().decode(self.encoding, "replace")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
@pytest.mark.parametrize(("code", "words"), _COMMANDS.values(), ids=_COMMANDS)
def test_a_command_says_what_it_has_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, code: int, words: str
) -> None:
    """Nothing is lost, and nothing breaks off: what the encoding lacks is escaped."""
    model = _model(tmp_path)
    out, err = _Terminal(encoding, "strict"), _Terminal(encoding, "backslashreplace")
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    arguments = [word.format(model=model, folder=tmp_path) for word in words.split()]
    assert main(arguments) == code
    told = out.text + err.text
    assert "Traceback" not in told
    assert "internal error" not in told
    assert (out.text or err.text).strip()
    if words.startswith(("lint {model}", "report", "rewrite ")):
        assert "DN201" in told or "MaxPool" in told


@pytest.mark.parametrize(
    "surroundings",
    [
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "cp1252"},
    ],
    ids=lambda given: " ".join(f"{name}={value}" for name, value in given.items()),
)
def test_a_process_in_a_poor_locale(tmp_path: Path, surroundings: dict[str, str]) -> None:
    """The interpreter's own choice of encodings, for files' names too, is no obstacle."""
    model, out = _model(tmp_path), tmp_path / "lint.json"
    command = [sys.executable, "-m", "onnxstride", "lint", str(model), "--select", "ALL"]
    command += ["--also", f"json={out}"]
    run = subprocess.run(
        command, env={**os.environ, **surroundings}, capture_output=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert b"DN201" in run.stdout
    assert b"Traceback" not in run.stderr
    assert _NAMES.encode() in out.read_bytes() or rb"\u5c64" in out.read_bytes()
