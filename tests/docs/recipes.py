"""The recipes of docs/ci.md: what each hands to the server, the shell or the hook that runs it."""

import re
from importlib import import_module
from typing import Any

from .blocks import ROOT, blocks_of

_yaml: Any = import_module("yaml")  # ships no types

PAGE = "docs/ci.md"
ACTION = ".github/workflows/models.yml"
PLAIN_STEPS = ".github/workflows/models-pip.yml"
GITLAB = ".gitlab-ci.yml"
HOOK = ".pre-commit-config.yaml"
JENKINS = "Jenkinsfile"


def text_of(name: str) -> str:
    """The block that the reader is to save under this name."""
    blocks = blocks_of(PAGE, (ROOT / PAGE).read_text(encoding="utf-8"))
    (block,) = [each for each in blocks if each.save_as == name]
    return block.text


def commands(name: str) -> list[str]:
    """What the recipe that is saved under this name hands to a shell, in order."""
    text = text_of(name)
    if name == JENKINS:
        return re.findall(r"sh '([^']*)'", text)
    if name == GITLAB:
        script: list[str] = _yaml.safe_load(text)["models"]["script"]
        return script
    return [step["run"] for step in _steps(text) if "run" in step]


def action_step() -> dict[str, Any]:
    """The step that uses the action, with its ``id`` and its inputs under ``with``."""
    (step,) = [each for each in _steps(text_of(ACTION)) if "/onnxstride@" in each.get("uses", "")]
    return step


def hook() -> dict[str, Any]:
    """The hook as a repository of models asks for it."""
    (only,) = _yaml.safe_load(text_of(HOOK))["repos"][0]["hooks"]
    return dict(only)


def _steps(text: str) -> list[dict[str, Any]]:
    (job,) = _yaml.safe_load(text)["jobs"].values()
    steps: list[dict[str, Any]] = job["steps"]
    return steps
