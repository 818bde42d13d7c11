"""The tables of this folder's README: written between markers, read back by the tests."""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

README = Path(__file__).resolve().parent / "README.md"


def one_cell(text: str) -> str:
    """The text as one cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """The rows as a Markdown table, the first as its head."""
    head, *body = rows
    lines = [head, ("---",) * len(head), *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def with_section(text: str, name: str, new: str) -> str:
    """The text with ``new`` between the two markers of this name."""
    begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->\n"
    before, rest = text.split(begin)
    _, after = rest.split(end)
    return before + begin + new + end + after


def section(text: str, name: str) -> str:
    """What stands between the two markers of this name."""
    _, rest = text.split(f"<!-- {name}:begin -->\n")
    return rest.split(f"<!-- {name}:end -->\n")[0]


def table_rows(text: str) -> Iterator[tuple[str, ...]]:
    """The cells of each line of a Markdown table, heads included."""
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("| ---"):
            yield tuple(cell.strip() for cell in line.strip("|").split(" | "))


def write_readme(script: str, fresh: Callable[[str], tuple[str, bool]]) -> None:
    """The command line of a script that measures: ``fresh`` writes its tables into a README."""
    parser = argparse.ArgumentParser(description="Measure the rewrites, and write the README.")
    parser.add_argument("--check", action="store_true", help="exit 1 if the README is stale")
    check = parser.parse_args().check
    old = README.read_text(encoding="utf-8")
    new, complete = fresh(old)
    if check and new != old:
        sys.exit(f"{README.name} is stale; run: python -m {script}")
    if not check:
        README.write_text(new, encoding="utf-8", newline="\n")
    if not complete:
        sys.exit(f"{README.name}: some rows say 'not measured', and why")
