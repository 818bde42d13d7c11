"""Every block of the documentation is run as a reader would, and shows what comes back."""

import ast
import importlib.util
import re
import shutil
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxstride.modelfile import parse_text
from onnxstride.verify import complete

from . import recipes
from .blocks import PAGES, ROOT, Block, blocks_of, is_as_shown, steps_of
from .session import Session

_yaml: Any = import_module("yaml")  # ships no types

TEXTS = {page: (ROOT / page).read_text(encoding="utf-8") for page in PAGES}
BLOCKS = {page: blocks_of(page, text) for page, text in TEXTS.items()}
WITH_CODE = [page for page, blocks in BLOCKS.items() if blocks]
WITH_TORCH = [page for page, blocks in BLOCKS.items() if any(each.needs for each in blocks)]
LANGUAGES = {"sh", "console", "python", "toml", "yaml", "groovy"}
FINDS = re.compile(r"onnxstride (lint|verify) |--diff\b")
"""Commands whose exit code 1 is an answer, not a failure."""


def missing(needs: tuple[str, ...]) -> list[str]:
    """The modules among those that a block needs which cannot be imported."""
    return [name for name in needs if importlib.util.find_spec(name) is None]


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """A terminal in what the pages tell their reader to have: a checkout with its models."""
    folder, tools = tmp_path / "checkout", tmp_path / "tools"
    tools.mkdir()
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "models", folder / "models", ignore=ignored)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("ONNXSTRIDE_OUTPUT_FORMAT", raising=False)
    return Session(folder, tools)


@pytest.mark.parametrize("page", [page for page in WITH_CODE if page != "README.md"])
def test_a_page_does_what_it_says(page: str, session: Session) -> None:
    """From its first block to its last, apart from those that need what is not installed here."""
    faults = [fault for each in BLOCKS[page] if not each.needs for fault in followed(each, session)]
    assert faults == []


@pytest.mark.parametrize("page", WITH_TORCH)
def test_the_parts_in_pytorch(page: str, session: Session) -> None:
    """They are run where torch is installed; it is not a part of what the tests need."""
    absent = missing(tuple({name for each in BLOCKS[page] for name in each.needs}))
    if absent:
        pytest.skip(f"not installed: {', '.join(absent)}")
    assert [fault for each in BLOCKS[page] for fault in followed(each, session)] == []


def test_readme_does_what_it_says(session: Session) -> None:
    """With small models under the names that stand for the reader's own."""
    stand_in(NET, "net.onnx", "model.onnx")
    stand_in(GENERATOR, "generator.onnx")
    np.savez("samples.npz", x=np.random.default_rng(0).random((8, 3, 8, 8), np.float32))
    assert [fault for each in BLOCKS["README.md"] for fault in followed(each, session)] == []


NET = """<ir_version: 10, opset_import: ["": 18]>
net (float[N,3,H,W] x) => (float[N,4,P,Q] y) <float[4,3,3,3] w> {
    a = Conv <pads = [1,1,1,1]> (x, w)
    b = Relu (a)
    ["pool"] y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (b)
}
"""
GENERATOR = """<ir_version: 10, opset_import: ["": 18]>
generator (float[N,3,8,8] x) => (float[N,3,16,16] y) <float[3,3,4,4] w> {
    y = ConvTranspose <strides = [2,2], pads = [1,1,1,1]> (x, w)
}
"""


def stand_in(text: str, *names: str) -> None:
    """Models under the names that a page uses for the reader's own."""
    for name in names:
        Path(name).write_bytes(complete(parse_text(text, name)))


def followed(block: Block, session: Session) -> list[str]:
    """What a reader who does as the block says would complain of."""
    if block.save_as:
        path = session.folder / block.save_as
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, encoding="utf-8")
    if block.not_run:
        return []
    try:
        return READERS[block.language](block, session)
    except Exception as error:  # noqa: BLE001 - whatever it is, the page is at fault
        return [f"{block.where}: {type(error).__name__}: {error}"]


def typed(block: Block, session: Session) -> list[str]:
    """Commands, each compared with what is shown below it."""
    faults: list[str] = []
    steps = list(steps_of(block))
    for step, after in zip(steps, [*steps[1:], None], strict=True):
        ran = session.run(step.command)
        asked = after is not None and after.command == "echo $?"
        bound = 1 if FINDS.search(step.command) else 0
        where = f"{block.page}:{step.line}: {step.command}"
        if ran.code > bound and not asked:
            faults.append(f"{where}\nexits with {ran.code}:\n{ran.printed}")
        elif step.shown is not None and not is_as_shown(step.shown, ran.printed):
            faults.append(f"{where}\nshows\n{step.shown}\nand prints\n{ran.printed}")
    return faults


def executed(block: Block, session: Session) -> list[str]:
    """Python: run, or compiled where the reader is to save it for a command that follows."""
    tree = ast.parse(block.text)
    if not block.save_as:
        exec(compile(tree, block.where, "exec"), {"__name__": "__main__"})  # noqa: S102
    return []


def parsed_toml(block: Block, session: Session) -> list[str]:
    """A configuration is one that ``onnxstride config`` accepts; a project's file is only read."""
    tables = tomllib.loads(block.text)
    if "project" in tables:
        return []
    Path("block.toml").write_text(block.text, encoding="utf-8")
    ran = session.run("onnxstride config models/lenet5.onnxtxt --config block.toml")
    return [f"{block.where}: {ran.printed}"] if ran.code else []


def parsed_yaml(block: Block, session: Session) -> list[str]:
    """What a server would make of it is tried by tests of its own."""
    return [] if _yaml.safe_load(block.text) else [f"{block.where}: nothing in it"]


def not_ours(block: Block, session: Session) -> list[str]:
    """A language that is run by a program of its own; its commands are tried apart."""
    return []


READERS = {
    "sh": typed,
    "console": typed,
    "python": executed,
    "toml": parsed_toml,
    "yaml": parsed_yaml,
    "groovy": not_ours,
}


class TestRecipes:
    """The recipes of docs/ci.md name what there is; a repository of models runs them."""

    def test_the_action_is_given_what_it_takes(self) -> None:
        """Its inputs and outputs have these names, and the page lists all of them."""
        action = _yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
        assert {*recipes.action_step()["with"]} <= {*action["inputs"]}
        used = set(re.findall(r"steps\.lint\.outputs\.([\w-]+)", recipes.text_of(recipes.ACTION)))
        assert used <= {*action["outputs"]}
        assert used
        listed = set(re.findall(r"^\| `([\w-]+)` \|", TEXTS["docs/ci.md"], re.MULTILINE))
        assert {*action["inputs"]} <= listed

    def test_the_hook_is_the_one_there_is(self) -> None:
        """By its id."""
        (offered,) = _yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
        assert recipes.hook()["id"] == offered["id"]


class TestTheBlocks:
    """What is left out, and what the check itself would notice."""

    def test_what_is_not_run_is_little_and_says_why(self) -> None:
        """Each such block has a reason, and there are at most these many."""
        left_out = [each for blocks in BLOCKS.values() for each in blocks if each.not_run]
        assert all(len(each.not_run) > 10 for each in left_out)
        assert len(left_out) <= NOT_RUN

    def test_pytorch_is_compiled(self) -> None:
        """Whether torch is there or not."""
        programs = [
            each for blocks in BLOCKS.values() for each in blocks
            if each.language == "python" and each.needs
        ]  # fmt: skip
        assert len(programs) == 2
        for each in programs:
            assert any(isinstance(node, ast.Import) for node in ast.parse(each.text).body)

    def test_each_block_has_a_language(self) -> None:
        """One that the tests know how to follow."""
        strange = [
            each.where
            for blocks in BLOCKS.values()
            for each in blocks
            if each.language not in LANGUAGES
        ]
        assert strange == []

    def test_links_lead_somewhere(self) -> None:
        """To a file that is there, and to a heading in it."""
        assert [each for page, text in TEXTS.items() for each in dead_links(page, text)] == []

    @pytest.mark.parametrize(
        ("block", "complaint"),
        [
            pytest.param("```console\n$ echo one\ntwo\n```\n", "and prints\none", id="output"),
            pytest.param("```sh\nfalse\n```\n", "exits with 1", id="exit code"),
            pytest.param("```sh\nonnxstride lint nowhere\n```\n", "exits with 2", id="no model"),
            pytest.param("```python\n1 / 0\n```\n", "ZeroDivisionError", id="python"),
            pytest.param("```toml\na = \n```\n", "TOMLDecodeError", id="toml"),
            pytest.param("```toml\nfail-in = 'note'\n```\n", "fail-on", id="configuration"),
            pytest.param("```yaml\na: [\n```\n", "ParserError", id="yaml"),
            pytest.param("```basic\nRUN\n```\n", "KeyError", id="language"),
        ],
    )
    def test_a_planted_fault_is_noticed(self, block: str, complaint: str, session: Session) -> None:
        """Of each kind that a page may have."""
        (planted,) = blocks_of("page.md", f"text\n\n{block}")
        (fault,) = followed(planted, session)
        assert fault.startswith("page.md:4")
        assert complaint in fault

    def test_a_dead_link_is_noticed(self) -> None:
        """To a missing file, and to a missing heading."""
        text = "[a](nowhere.md) [b](README.md#use-it) [c](README.md#no-such-heading)"
        assert dead_links("README.md", text) == [
            "README.md: nowhere.md", "README.md: README.md#no-such-heading"
        ]  # fmt: skip

    def test_comments_before_a_block(self) -> None:
        """They are read, and one that means nothing is an error."""
        (block,) = blocks_of("p", "<!-- save as a.py; needs torch, onnx -->\n```python\nx\n```\n")
        assert (block.save_as, block.needs, block.line) == ("a.py", ("torch", "onnx"), 3)
        with pytest.raises(ValueError, match="expected one of"):
            blocks_of("p", "<!-- sometimes -->\n```sh\nx\n```\n")


NOT_RUN = 2
"""Setting up an environment, in README.md and in docs/getting-started.md."""


def dead_links(page: str, text: str) -> list[str]:
    """Relative links that lead nowhere."""
    here = (ROOT / page).parent
    dead: list[str] = []
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        name, _, heading = link.partition("#")
        target = here / name if name else ROOT / page
        if "://" in link:
            continue
        if not target.exists() or (heading and heading not in anchors(target)):
            dead.append(f"{page}: {link}")
    return dead


def anchors(page: Path) -> set[str]:
    """What GitHub makes of the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}
