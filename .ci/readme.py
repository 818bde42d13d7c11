"""Writes the tables of rules, rewrites and speed into README.md; --check says if they are stale."""

import sys
from pathlib import Path

# The benchmarks are no part of what is installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import summary
from onnxstride.explain import list_rewrites, list_rules
from onnxstride.registry import BUILT_IN, load_rewrites, load_rules


def tables() -> dict[str, str]:
    """Each table by the name of its markers."""
    rules = [rule for rule in load_rules() if rule.origin == BUILT_IN]
    rewrites = [rewrite for rewrite in load_rewrites() if rewrite.origin == BUILT_IN]
    return {
        "rules": list_rules(rules, "markdown", width=0),
        "rewrites": list_rewrites(rewrites, "markdown", width=0),
        "speed": summary.table(),
    }


def with_tables(text: str) -> str:
    """The text with the present tables between their markers."""
    for name, table in tables().items():
        begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
        before, found, rest = text.partition(begin)
        _, ended, after = rest.partition(end)
        if not (found and ended):
            sys.exit(f"expected a line {begin.strip()} and below it {end}")
        text = before + begin + table + end + after
    return text


def main(arguments: list[str]) -> None:
    *options, name = arguments
    file = Path(name)
    text = file.read_text(encoding="utf-8")
    fresh = with_tables(text)
    if options != ["--check"]:
        file.write_text(fresh, encoding="utf-8", newline="\n")
    elif fresh != text:
        sys.exit(f"{file}: a table is stale; run: make readme")


if __name__ == "__main__":
    main(sys.argv[1:])
