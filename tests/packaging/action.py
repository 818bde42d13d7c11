"""Reads action.yml and runs its steps as a runner of GitHub's would.

Of expressions it knows what the action uses: an input, or the output of a step, as the whole of a
value. Python and pip are stood in for: the interpreter that runs the tests has onnxstride already.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

_yaml: Any = import_module("yaml")  # it ships no types

ROOT = Path(__file__).parents[2]
SHELL = ("bash", "--noprofile", "--norc", "-eo", "pipefail")  # of `shell: bash`

_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}")
_VARIABLE = re.compile(r"\$\{?#?([A-Z][A-Z_]+)|environ\[\"([A-Z_]+)\"\]")
_OF_THE_RUNNER = re.compile(r"(GITHUB|RUNNER)_[A-Z_]+")
_READ_BY_PIP = re.compile(r"PIP_[A-Z_]+")

# Does what python3 does for the action; $CALLS and $INSTALLED list what was asked of it. $IS_OLD
# makes it an old one, and $IS_DRY leaves it at noting what onnxstride is called with.
_PYTHON = """#!/usr/bin/env bash
case "$2 $3" in
"-m venv") mkdir -p "${@: -1}/bin" && cp "$0" "${@: -1}/bin/python" ;;
"-m pip")
    echo "${@: -1}" >>"$INSTALLED"
    program=$(dirname "$0")/onnxstride
    printf '#!/usr/bin/env bash\\nprintf "%%s\\\\0" "$@" >>"$CALLS"; echo >>"$CALLS"\\n' >"$program"
    printf '[ -n "$IS_DRY" ] || exec "@PYTHON@" -m onnxstride "$@"\\n' >>"$program"
    chmod +x "$program"
    ;;
*) [ "$2" = -c ] && [ -n "$IS_OLD" ] && exit 1; exec "@PYTHON@" "$@" ;;
esac
"""


def load() -> dict[str, Any]:
    """The action as YAML has it."""
    action: dict[str, Any] = _yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    return action


def faults(action: Mapping[str, Any]) -> list[str]:
    """What is wrong with how an action passes its inputs on, a line each."""
    steps = action["runs"]["steps"]
    found = [fault for step in steps for fault in _faults_of_step(step)]
    used = set[str]()
    for text in _texts(action):
        for expression in _EXPRESSION.findall(text):
            used.add(expression.strip())
    inputs = {f"inputs.{name}" for name in action["inputs"]}
    outputs = {
        f"steps.{step['id']}.outputs.{name}"
        for step in steps
        if "id" in step
        for name in re.findall(r'echo "([a-z-]+)=', step["run"])
    }
    found += [f"{name} is declared and not used" for name in sorted(inputs - used)]
    found += [f"{name} is used and not there" for name in sorted(used - inputs - outputs)]
    for name, told in action["inputs"].items():
        if not {"description", "default"} <= set(told):
            found.append(f"inputs.{name} has no description or no default")
    return found


def _faults_of_step(step: Mapping[str, Any]) -> Iterator[str]:
    name, script = step["name"], step["run"]
    if step.get("shell") != "bash":
        yield f"{name}: no shell"
    if "${{" in script:
        yield f"{name}: an expression within the script"
    given = {key for key in step.get("env", {}) if not _READ_BY_PIP.fullmatch(key)}
    read = {first or second for first, second in _VARIABLE.findall(script)}
    read = {variable for variable in read if not _OF_THE_RUNNER.fullmatch(variable)}
    yield from (f"{name}: {variable} is given and not read" for variable in sorted(given - read))
    yield from (f"{name}: {variable} is read and not given" for variable in sorted(read - given))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


@dataclass(frozen=True)
class Outcome:
    """What a run of the action left behind.

    Attributes:
        code: the exit code of the step that failed, else 0.
        log: what the steps printed.
        outputs: of the action, by name.
        summary: the page of the job.
        calls: the arguments that onnxstride was called with, each time.
        installed: what pip was asked to install.
    """

    code: int
    log: str
    outputs: Mapping[str, str]
    summary: str
    calls: list[list[str]]
    installed: list[str]


@dataclass(frozen=True)
class Runner:
    """A machine that runs the action on what is in ``workspace``."""

    workspace: Path
    home: Path
    variables: Mapping[str, str] = field(default_factory=dict[str, str])

    def run(self, **inputs: str) -> Outcome:
        """What the action does, given these inputs; ``_`` in a name stands for ``-``."""
        action = load()
        values = {f"inputs.{name}": told["default"] for name, told in action["inputs"].items()}
        values |= {f"inputs.{name.replace('_', '-')}": text for name, text in inputs.items()}
        self._set_up()
        code, log = 0, ""
        for number, step in enumerate(action["runs"]["steps"]):
            done = self._step(number, step, values)
            code, log = done.returncode, log + done.stdout
            values |= self._outputs(number, step)
            if code:
                break
        outputs = {
            name: _evaluated(told["value"], values) for name, told in action["outputs"].items()
        }
        calls = [call.split("\0") for call in self._read("CALLS").split("\0\n")[:-1]]
        installed = self._read("INSTALLED").splitlines()
        return Outcome(code, log, outputs, self._read("SUMMARY"), calls, installed)

    def _set_up(self) -> None:
        for folder in ("bin", "temp"):
            (self.home / folder).mkdir(parents=True)
        python = self.home / "bin" / "python3"
        python.write_text(_PYTHON.replace("@PYTHON@", sys.executable))
        python.chmod(0o755)
        (self.home / "SUMMARY").write_text("an earlier step\n")

    def _step(
        self, number: int, step: Mapping[str, Any], values: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        script = self.home / f"step{number}.sh"
        script.write_text(step["run"], encoding="utf-8")
        given = {name: _evaluated(text, values) for name, text in step.get("env", {}).items()}
        environment = {
            "PATH": f"{self.home / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.home),
            "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_OUTPUT": str(self.home / f"OUTPUT{number}"),
            "GITHUB_STEP_SUMMARY": str(self.home / "SUMMARY"),
            "RUNNER_TEMP": str(self.home / "temp"),
            "CALLS": str(self.home / "CALLS"),
            "INSTALLED": str(self.home / "INSTALLED"),
            **self.variables,
            **given,
        }
        return subprocess.run(
            [*SHELL, str(script)],
            cwd=self.workspace,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def _outputs(self, number: int, step: Mapping[str, Any]) -> dict[str, str]:
        pairs = (line.partition("=") for line in self._read(f"OUTPUT{number}").splitlines())
        return {f"steps.{step.get('id')}.outputs.{name}": value for name, _, value in pairs}

    def _read(self, name: str) -> str:
        file = self.home / name
        return file.read_text(encoding="utf-8") if file.exists() else ""


def _evaluated(text: str, values: Mapping[str, str]) -> str:
    """The text with the value of each expression in it; outputs that nobody wrote are empty."""
    return _EXPRESSION.sub(lambda found: values.get(found[1].strip(), ""), text)
