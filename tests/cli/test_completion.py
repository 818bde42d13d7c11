"""Shells complete commands, options, and what they take, as far as that is known in advance."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from onnxstride.cli import cli, main
from onnxstride.registry import load_rewrites, load_rules
from tests.cli.test_startup import HEAVY, modules_after
from tests.planting import rule_source, write_files

SCRIPT = Path(sys.executable).parent / "onnxstride"
SHELLS = ("bash", "zsh", "fish")
CODES = [loaded.code for loaded in load_rules()]
RULES = [loaded.name for loaded in load_rules()]
REWRITES = [loaded.name for loaded in load_rewrites()]

# Values that only the user knows.
OPEN = {
    *("also", "atol", "blur", "code", "dims", "input_shapes", "jobs", "kernel", "min_snr", "name"),
    *("nodes", "opset", "probe_range", "providers", "reason", "rtol", "seeds", "sizes", "timeout"),
}

Complete = Callable[..., list[str]]


@pytest.fixture
def complete(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> Complete:
    """What bash is offered for the last of these words, each with its kind."""

    def offered(*words: str) -> list[str]:
        monkeypatch.setenv("_ONNXSTRIDE_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", " ".join(["onnxstride", *words]))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        assert main([]) == 0
        printed, told = capsysbinary.readouterr()
        assert told == b""
        return printed.decode().split()

    return offered


def plain(*words: str) -> list[str]:
    """The words as bash is told of them."""
    return [f"plain,{word}" for word in words]


def test_commands_are_completed(complete: Complete) -> None:
    """Those in files of their own too."""
    assert complete("re") == plain("report", "rewrite", "rewrites")
    assert complete("") == plain(*cli.list_commands(click.Context(cli)))


def test_options_are_completed(complete: Complete) -> None:
    """Of the command that is being written."""
    assert complete("lint", "--out") == plain("--output-format", "--output-file")
    assert complete("report", "x.onnx", "--ht") == plain("--html")


def test_choices_are_completed(complete: Complete) -> None:
    """Formats and levels."""
    assert complete("lint", "--output-format", "j") == plain("json", "jsonl", "junit")
    assert complete("lint", "--fail-on=n") == plain("note", "never")


@pytest.mark.parametrize(
    "words",
    [["lint", "--select"], ["lint", "--ignore"], ["lint", "--extend-select"],
     ["rewrite", "--select"], ["rewrite", "--ignore"], ["annotate", "--select"]],
    ids=" ".join,
)  # fmt: skip
def test_selectors_are_completed(complete: Complete, words: list[str]) -> None:
    """Codes, or names where a name is begun; after a comma, those that are not there yet."""
    assert complete(*words, "") == plain(*CODES, "ALL")
    assert complete(*words, "DN20") == plain(*(code for code in CODES if code.startswith("DN20")))
    assert complete(*words, "une") == plain(*(name for name in RULES if name.startswith("une")))
    assert complete(*words, "UP101,UP10") == plain(
        *(f"UP101,{code}" for code in CODES if code.startswith("UP10") and code != "UP101")
    )
    assert complete(*words, "nothing") == []


def test_rewrites_are_completed(complete: Complete) -> None:
    """By name, wherever one is asked for."""
    assert complete("rewrite", "net.onnx", "--use", "") == plain(*REWRITES)
    smooth = plain("smooth-output")
    assert complete("rewrite", "--use", "smo") == complete("explain", "smo") == smooth


def test_what_can_be_explained_is_completed(complete: Complete) -> None:
    """Rules by code or by name, and rewrites."""
    assert complete("explain", "") == plain(*CODES, *REWRITES)
    assert complete("explain", "UP101") == plain("UP101")
    assert complete("explain", "uneven") == plain(
        *(name for name in RULES if name.startswith("uneven"))
    )


def test_rules_of_a_folder_are_completed(complete: Complete, tmp_path: Path) -> None:
    """Where the line names it; a folder that holds none is passed over in silence."""
    write_files(tmp_path / "mine", {"planted.py": rule_source("XX101")})
    assert complete("explain", "--rules", str(tmp_path / "mine"), "XX") == plain("XX101")
    assert complete("explain", "--rules", str(tmp_path / "none"), "UP") == []


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["lint"], "file"), (["lint", "a.onnx"], "file"), (["lint", "--output-file"], "file"),
        (["lint", "--rules"], "dir"), (["lint", "--save-pictures"], "dir"),
        (["lint", "--config"], "file"), (["lint", "--data"], "file"), (["report"], "file"),
        (["report", "--html"], "file"), (["rewrite"], "file"), (["rewrite", "a", "-o"], "file"),
        (["rewrite", "--report"], "file"), (["verify"], "file"), (["verify", "a"], "file"),
        (["annotate"], "file"), (["annotate", "a", "-o"], "file"),
        (["new-rule", "--folder"], "dir"),
    ],
    ids=lambda it: " ".join(it) if isinstance(it, list) else "",
)  # fmt: skip
def test_files_are_left_to_the_shell(complete: Complete, words: list[str], kind: str) -> None:
    """It knows how to write a name with a space, and that a folder has more in it."""
    assert complete(*words, "mo") == [f"{kind},mo"]


def test_nothing_is_offered_where_nothing_is_known(complete: Complete) -> None:
    """A number, a new name, an unknown command."""
    assert complete("lint", "--jobs", "") == []
    assert complete("new-rule", "XY") == []


def parameters() -> list[tuple[str, click.Parameter]]:
    """Every parameter that takes a value of the user's, with its command."""
    context = click.Context(cli)
    commands = [(name, cli.get_command(context, name)) for name in cli.list_commands(context)]
    return [
        (name, parameter)
        for name, command in commands
        if command is not None
        for parameter in command.params
        if not getattr(parameter, "is_flag", False) and not isinstance(parameter.type, click.Choice)
    ]


@pytest.mark.parametrize(
    "parameter",
    [pytest.param(each, id=f"{command} {each.name}") for command, each in parameters()],
)
def test_every_value_is_completed_or_open(parameter: click.Parameter) -> None:
    """An option that is added says which."""
    context = click.Context(click.Command("a command"))
    offers = bool(parameter.shell_complete(context, "") or parameter.shell_complete(context, "U"))
    assert offers or parameter.name in OPEN, "give it shell_complete=, or add it to OPEN"


@pytest.mark.parametrize("command", [[str(SCRIPT)], [sys.executable, "-m", "onnxstride"]])
def test_both_ways_to_start_answer(command: list[str]) -> None:
    """All is written before the process ends, which it does at once."""
    environment = {
        **os.environ,
        "_ONNXSTRIDE_COMPLETE": "zsh_complete",
        "COMP_WORDS": "onnxstride explain UP10",
        "COMP_CWORD": "2",
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[1::3] == [code for code in CODES if code.startswith("UP10")]
    assert lines[2] == "Transposed convolution whose taps fall unevenly on the output."


@pytest.mark.parametrize("words", ["onnxstride lint --sel", "onnxstride lint mo", "onnxstride "])
def test_an_option_or_a_file_is_completed_without_libraries(words: str) -> None:
    """A shell waits for the answer."""
    setup = (
        "import os\n"
        f"os.environ.update(_ONNXSTRIDE_COMPLETE='bash_complete', COMP_WORDS={words!r}, "
        f"COMP_CWORD='{len(words.split(' ')) - 1}')\n"
        "from onnxstride.cli import main\nmain([])"
    )
    loaded = modules_after(setup)
    assert "click.shell_completion" in loaded
    assert not {"onnx", "numpy", "onnxstride.registry", *HEAVY} & loaded


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_clicks_own(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What click prints when asked by its variable."""
    assert main(["completion", shell]) == 0
    printed = capsys.readouterr().out
    environment = {**os.environ, "_ONNXSTRIDE_COMPLETE": f"{shell}_source"}
    asked = subprocess.run(
        [str(SCRIPT)], env=environment, capture_output=True, text=True, check=True
    )
    assert printed == asked.stdout
    assert f"_ONNXSTRIDE_COMPLETE={shell}_complete" in printed


def test_an_unknown_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """With the shells that there are."""
    assert main(["completion", "tcsh"]) == 2
    assert "'bash', 'zsh', 'fish'" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("line", "replies"),
    [
        pytest.param("onnxstride completion z", ["zsh"], id="a choice"),
        pytest.param("onnxstride lint --select UP101,UP102,UP10", [
            f"UP101,UP102,{code}" for code in CODES if code[:4] == "UP10" and code > "UP102"
        ], id="after commas"),
        pytest.param("onnxstride lint mo", [], id="a file: bash's own"),
    ],
)  # fmt: skip
def test_bash_completes_with_the_script(line: str, replies: list[str]) -> None:
    """The function that the script defines fills in what bash shows."""
    words = line.split()
    program = (
        'compopt() { printf "option: %s %s\\n" "$@"; }\n'  # a builtin for completions alone
        'eval "$(onnxstride completion bash)"\n'
        f"COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}\n"
        f"_onnxstride_completion onnxstride {words[-1]} {words[-2]}\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\ncomplete -p onnxstride\n'
    )
    environment = {**os.environ, "PATH": f"{SCRIPT.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [str(shutil.which("bash")), "--norc", "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert lines[-1].startswith("complete -o nosort -F _onnxstride_completion onnxstride")
    assert lines[:-1] == (replies or ["option: -o default", ""])
