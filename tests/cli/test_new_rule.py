"""The new-rule command: what it writes is a rule, and obeys every law as it is written."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from onnxstride import scaffold
from onnxstride.cli import main
from onnxstride.commands import new_rule
from onnxstride.errors import UsageError
from onnxstride.graph.layers import Layer
from onnxstride.registry import LoadedRule, load_rewrites, load_rules
from tests.rules import laws

ROOT = Path(__file__).parents[2]
CODES = {layer: f"ZZ{101 + index}" for index, layer in enumerate(scaffold.LAYERS)}
NAMES = {layer: f"far-{layer.lower()}" for layer in scaffold.LAYERS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a new rule for each type of layer."""
    made = tmp_path_factory.mktemp("mine")
    for layer in scaffold.LAYERS:
        words = ["new-rule", CODES[layer], NAMES[layer], "--layer", layer]
        assert main([*words, "--folder", str(made)]) == 0
    return made


@pytest.fixture(scope="module")
def rules(folder: Path) -> dict[str, LoadedRule]:
    """The new rules by layer, loaded as ``--rules`` loads them."""
    loaded = {rule.code: rule for rule in load_rules([str(folder)])}
    return {layer: loaded[code] for layer, code in CODES.items()}


class TestWhatItWrites:
    """A rule about each type of layer."""

    @pytest.mark.parametrize("layer", scaffold.LAYERS)
    def test_it_obeys_every_law(self, layer: str, rules: dict[str, LoadedRule]) -> None:
        """As it is written, before anything is filled in."""
        assert laws.violations(rules[layer]) == []

    def test_a_fault_in_it_would_be_noticed(self, tmp_path: Path) -> None:
        """The laws judge the module written: with another limit it flags too much."""
        text = scaffold.rule_module("ZZ101", "far-conv", "Conv")
        (tmp_path / "far_conv.py").write_text(text.replace("_MOST = 2", "_MOST = 1"))
        (rule,) = [each for each in load_rules([str(tmp_path)]) if each.code == "ZZ101"]
        assert len(laws.violations(rule, [laws.flags_exactly_the_marked_nodes])) == 1

    @pytest.mark.parametrize("layer", scaffold.LAYERS)
    def test_it_is_about_that_layer(self, layer: str, rules: dict[str, LoadedRule]) -> None:
        """The type, code and name are those asked for."""
        rule = rules[layer].rule
        assert [kind.__name__ for kind in rule.on] == [layer]
        assert (rule.code, rule.name) == (CODES[layer], NAMES[layer])

    def test_every_layer_is_on_offer(self) -> None:
        """All that a plain lint hands to rules; types without layers of their own are not."""
        kinds, todo = set[str](), [Layer]
        while todo:
            found = todo.pop().__subclasses__()
            todo += found
            kinds.update(kind.__name__ for kind in found)
        assert kinds - {"Window", "Pool", "Response"} == {*scaffold.LAYERS}

    @pytest.mark.parametrize("line_length", [88, 100])
    def test_it_is_formatted(self, folder: Path, line_length: int) -> None:
        """For the width of this project, and for the usual one."""
        ruff("format", "--isolated", "--check", "--line-length", str(line_length), str(folder))

    def test_it_lints_clean(self, folder: Path, tmp_path: Path) -> None:
        """By the rules for ``rules/`` of this project."""
        copies = tmp_path / "rules"
        copies.mkdir()
        for file in folder.glob("*.py"):
            (copies / file.name).write_bytes(file.read_bytes())
        settings = (ROOT / "pyproject.toml").read_text()
        (tmp_path / "pyproject.toml").write_text(settings)
        ruff("check", "--no-cache", str(copies))

    def test_it_is_typed(self, folder: Path, tmp_path: Path) -> None:
        """A strict type checker accepts all of it, and would see an attribute there is none of."""
        assert mypy(folder, tmp_path) == "", "what is written"
        text = scaffold.rule_module("ZZ101", "far-conv", "Conv")
        (tmp_path / "far_conv.py").write_text(text.replace("layer.strides", "layer.stride"))
        assert '"Conv" has no attribute "stride"' in mypy(tmp_path / "far_conv.py", tmp_path)

    def test_it_runs(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Lint and explain take it from its folder."""
        model = str(ROOT / "models" / "dcgan_generator.onnxtxt")
        selected = ["--rules", str(folder), "--select", "ZZ"]
        assert main(["lint", model, *selected]) in (0, 1)
        assert main(["explain", CODES["MaxPool"], "--rules", str(folder)]) == 0
        told = capsys.readouterr().out
        assert "MaxPool that moves by more than 2 positions at a time." in told

    def test_nothing_is_left_open(self, folder: Path) -> None:
        """No placeholder stands in it."""
        for file in folder.glob("*.py"):
            text = file.read_text()
            assert not [word for word in ("TODO", "FIXME", "XXX", "{", "}") if word in prose(text)]

    def test_what_comes_next_is_said(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """With commands that work."""
        assert main(["new-rule", "ZZ101", "far-conv", "--folder", str(tmp_path)]) == 0
        told = capsys.readouterr().out
        assert f"{tmp_path / 'far_conv.py'} written" in told
        assert f"onnxstride explain ZZ101 --rules {tmp_path} shows it" in told


def prose(text: str) -> str:
    """The documentation of a module."""
    return ast.get_docstring(ast.parse(text)) or ""


def mypy(path: Path, folder: Path) -> str:
    """What mypy finds; it keeps its cache in ``folder``."""
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent"]
    command += [f"--cache-dir={folder / 'cache'}", str(path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert ran.stderr == ""
    return ran.stdout if ran.returncode else ""


def ruff(*arguments: str) -> None:
    """Run ruff; what it finds fails the test."""
    command = [sys.executable, "-m", "ruff", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


class TestCheckout:
    """Without --folder."""

    def test_the_rules_are_here(self) -> None:
        """In a checkout they are the folder rules/."""
        assert new_rule.rules_of_checkout() == ROOT / "rules"

    def test_it_is_written_there(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """And the next step is make check."""
        checkout(tmp_path)
        monkeypatch.setattr(new_rule, "__file__", str(tmp_path / "onnxstride/commands/x.py"))
        assert main(["new-rule", "ZZ101", "far-conv"]) == 0
        assert (tmp_path / "rules" / "far_conv.py").is_file()
        assert "make check" in capsys.readouterr().out

    def test_an_installed_onnxstride_has_none(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Then the folder has to be named."""
        monkeypatch.setattr(new_rule, "__file__", str(tmp_path / "onnxstride/commands/x.py"))
        assert main(["new-rule", "ZZ101", "far-conv"]) == 2
        assert "say where with --folder DIR" in capsys.readouterr().err


def checkout(folder: Path) -> None:
    """As much of a checkout as new-rule looks at."""
    (folder / "rules").mkdir()
    (folder / "rules" / "__init__.py").touch()
    (folder / "pyproject.toml").touch()


UNEVEN = "UP101 uneven-overlap (built in)"
REFUSED = {
    "a code that is taken": ("UP101", "far-conv", f"UP101 is taken: {UNEVEN}; the next that is"),
    "a code taken in the folder": ("ZZ900", "far-conv", "ZZ900 there-already ("),
    "a name that is taken": ("ZZ101", "uneven-overlap", f"{UNEVEN}; also near it: uneven-"),
    "a name taken in the folder": ("ZZ101", "there-already", "is taken: ZZ900"),
    "a name of a rewrite": ("ZZ101", "maxpool-to-conv", "is taken: a rewrite (built in)"),
    "small letters": ("zz101", "far-conv", "did you mean 'ZZ101'?"),
    "two digits": ("ZZ10", "far-conv", "capital letters and three digits, found 'ZZ10'"),
    "a name with underscores": ("ZZ101", "Far_Conv", "did you mean 'far-conv'?"),
    "a name of nothing": ("ZZ101", "", "lower-case words and hyphens, found '', such as"),
    "a path": ("ZZ101", "../far-conv", "found '../far-conv'"),
    "a file that is there": ("ZZ101", "some-rule", "is not overwritten"),
    "a folder of that name": ("ZZ101", "rewrites", "is not overwritten"),
}


@pytest.mark.parametrize(("code", "name", "said"), REFUSED.values(), ids=REFUSED)
def test_refusal(
    code: str, name: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends with 2, says why, and writes nothing."""
    (tmp_path / "there_already.py").write_text(
        scaffold.rule_module("ZZ900", "there-already", "MaxPool")
    )
    (tmp_path / "broken.py").write_text("def (")
    (tmp_path / "some_rule.py").write_text("kept")
    (tmp_path / "rewrites").mkdir()
    before = sorted(tmp_path.iterdir())
    assert main(["new-rule", code, name, "--folder", str(tmp_path)]) == 2
    assert said in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "some_rule.py").read_text() == "kept"


@pytest.mark.parametrize("cure", scaffold.CURES)
def test_a_cure_is_no_name(cure: str) -> None:
    """A rule is named after what is wrong."""
    with pytest.raises(UsageError, match="names a cure"):
        scaffold.refuse_spelling("ZZ101", f"{cure}resize")


def test_the_cures_are_those_of_the_law() -> None:
    """What the command refuses is what the law of names refuses."""
    assert scaffold.CURES == laws.FIXING_WORDS


def test_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that is not there is not made: it may be a slip."""
    assert main(["new-rule", "ZZ101", "far-conv", "--folder", str(tmp_path / "no")]) == 2
    assert "expected a folder to write the rule into" in capsys.readouterr().err


def test_the_last_code_of_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """When no number is left, other letters are asked for."""
    text = scaffold.rule_module("ZZ999", "last-of-all", "Conv")
    (tmp_path / "last_of_all.py").write_text(text)
    assert main(["new-rule", "ZZ999", "far-conv", "--folder", str(tmp_path)]) == 2
    assert "choose other letters" in capsys.readouterr().err


def test_rules_are_read_not_run() -> None:
    """Codes and names are found in any text; what is no module holds none."""
    for rule in load_rules():
        source = Path(sys.modules[rule.module].__file__ or "").read_text()
        assert list(scaffold.rules_in(source)) == [(rule.code, rule.name)]
    for rewrite in load_rewrites():
        source = Path(sys.modules[rewrite.module].__file__ or "").read_text()
        assert list(scaffold.rules_in(source)) == []
    assert list(scaffold.rules_in("raise SystemExit\nRULE = Rule('AA101', 'a-b', x)")) == [
        ("AA101", "a-b")
    ]
    assert list(scaffold.rules_in("Rule(code, name)\nRule(1, 2)\nother('AA101', 'a-b')")) == []
    assert list(scaffold.rules_in("\0")) == []


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    """It lists the types of layers."""
    assert main(["new-rule", "--help"]) == 0
    told = capsys.readouterr().out
    assert all(layer in told for layer in scaffold.LAYERS)
