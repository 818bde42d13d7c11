"""The new-rule command: writes a rule to start from, which is a sound one already."""

from pathlib import Path
from shlex import quote

import click

from ..errors import UsageError
from ..nearest import nearest
from ..output import write_stdout
from ..scaffold import LAYERS, file_name, refuse_spelling, rule_module, rules_in
from ..wording import listing
from .completing import a_folder


@click.command("new-rule")
@click.argument("code")
@click.argument("name")
@click.option(
    "--layer",
    type=click.Choice(LAYERS),
    default="Conv",
    show_default=True,
    help="The type of layer that the rule is about.",
)
@click.option(
    "--folder",
    metavar="DIR",
    shell_complete=a_folder,
    help="Where to write it.  [default: the rules/ of the checkout that is running]",
)
def new_rule(code: str, name: str, layer: str, folder: str | None) -> int:
    """Write a new rule, CODE NAME, to start from.

    CODE is capital letters and three digits, NAME what is wrong, in lower-case words joined by
    hyphens. The file holds all that a rule is: documentation, examples, check. It works as it is
    written, to be changed piece by piece.

    Exit code: 0 written, 2 it could not be done.
    """
    refuse_spelling(code, name)
    target = _folder(folder) / file_name(name)
    _refuse_taken(code, name, target)
    _write(rule_module(code, name, layer), target)
    write_stdout(_told(code, target, in_checkout=folder is None))
    return 0


def _folder(given: str | None) -> Path:
    folder = rules_of_checkout() if given is None else Path(given)
    if not folder.is_dir():
        raise UsageError(f"expected a folder to write the rule into, found none at {str(folder)!r}")
    return folder


def rules_of_checkout() -> Path:
    """The folder of built-in rules where they can be worked on."""
    root = Path(__file__).parents[2]
    if not ((root / "rules" / "__init__.py").is_file() and (root / "pyproject.toml").is_file()):
        raise UsageError("onnxstride does not run from a checkout; say where with --folder DIR")
    return root / "rules"


def _refuse_taken(code: str, name: str, target: Path) -> None:
    """Refuse words that any rule has, installed or in the folder, and the name of a rewrite."""
    taken = _taken(target.parent)
    if code in taken:
        free = _next_free(code, taken)
        raise UsageError(f"the code {code} is taken: {taken[code]}; {free}")
    if name in taken:
        others = nearest(name, [word for word in taken if word.islower() and word != name])
        like = f"; also near it: {listing(others)}" if others else ""
        raise UsageError(f"the name {name} is taken: {taken[name]}{like}; choose another")
    for path in (target, target.with_suffix("")):  # a folder hides the module beside it
        if path.exists() or path.is_symlink():
            raise UsageError(f"{str(path)!r} is there already and is not overwritten")


def _taken(folder: Path) -> dict[str, str]:
    """Every code and name in use, and by whom."""
    from ..registry import load_rewrites, load_rules

    taken = {each.name: f"a rewrite ({each.origin})" for each in load_rewrites()}
    for rule in load_rules():
        taken |= dict.fromkeys((rule.code, rule.name), f"{rule.code} {rule.name} ({rule.origin})")
    for file in sorted(folder.glob("*.py")):
        # Read, not imported: the folder may be that of rules that are loaded already.
        for code, name in rules_in(_read(file)):
            for word in (code, name):
                taken.setdefault(word, f"{code} {name} ({file})")
    return taken


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(f"cannot read {str(file)!r}: {error.strerror or error}") from error


def _next_free(code: str, taken: dict[str, str]) -> str:
    letters, number = code[:-3], int(code[-3:])
    for following in range(number + 1, 1000):
        if f"{letters}{following:03}" not in taken:
            return f"the next that is free is {letters}{following:03}"
    return "choose other letters"


def _write(text: str, target: Path) -> None:
    try:
        with target.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"cannot write {str(target)!r}: {error.strerror or error}") from error


def _told(code: str, target: Path, *, in_checkout: bool) -> str:
    folder = quote(str(target.parent))
    shown, then = f"onnxstride explain {code}", "make check holds it to the laws of rules"
    if not in_checkout:
        shown += f" --rules {folder}"
        then = f"onnxstride lint MODEL --rules {folder} --select {code} runs it"
    return f"{target} written\n{shown} shows it; {then}.\n"
