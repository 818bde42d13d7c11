"""Rules are found wherever they may come from, and nothing broken is passed over."""

import sys
from pathlib import Path

import pytest

from onnxstride import registry
from onnxstride.errors import RuleError, UsageError
from onnxstride.registry import find_rule, load_rules
from tests.planting import rule_source, write_files, write_plugin

CHECKOUT_RULES = Path(__file__).parents[2] / "rules"


class TestBuiltIn:
    def test_every_module_in_the_folder_is_a_rule(self) -> None:
        """A file in rules/ is a rule without being listed anywhere."""
        files = {path.stem for path in CHECKOUT_RULES.glob("*.py") if path.stem != "__init__"}
        loaded = {rule.module.rpartition(".")[2] for rule in load_rules()}
        assert loaded == files
        assert files

    def test_order_is_that_of_the_codes(self) -> None:
        """Rules come sorted by code, whatever their files are called."""
        codes = [rule.code for rule in load_rules()]
        assert codes == sorted(codes)

    def test_a_checkout_that_is_not_installed_has_them(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where nothing has the package's name, the checkout's folder is given it."""
        expected = [rule.code for rule in load_rules()]
        for name in [name for name in sys.modules if name.startswith("onnxstride.rules")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setattr(sys, "meta_path", [_Hiding("onnxstride.rules"), *sys.meta_path])
        assert [rule.code for rule in load_rules()] == expected

    def test_no_rule_at_all_is_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """An installation without rules says so: it would call every model clean."""
        monkeypatch.setattr(registry, "built_in", lambda package: iter(()))
        with pytest.raises(RuleError, match="no rule found"):
            load_rules()


class _Hiding:
    """A finder that makes one package impossible to find through those after it."""

    def __init__(self, hidden: str) -> None:
        self.hidden = hidden

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == self.hidden and sys.modules.get(name) is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


class TestFolders:
    def test_a_folder_adds_its_rules(self, tmp_path: Path) -> None:
        """Every Python file of the folder is a rule, next to the built-in ones."""
        write_files(
            tmp_path,
            {
                "one.py": rule_source("XX101", "planted-one"),
                "two-words.py": rule_source("XX102", "planted-two"),
                "_helper.py": "raise RuntimeError",
                "notes.txt": "not a rule",
            },
        )
        added = [rule for rule in load_rules([str(tmp_path)]) if rule.origin != "built in"]
        assert [rule.code for rule in added] == ["XX101", "XX102"]
        assert added[0].origin == f"folder {tmp_path.resolve()}"
        assert added[0].summary == "Planted."
        assert list(added[0].bad) == ["a bad one"]

    def test_files_of_a_folder_can_import_each_other(self, tmp_path: Path) -> None:
        """Rules of one folder share helpers by relative import."""
        source = rule_source().replace(
            "from onnxstride.api", "from ._helper import BODY\nfrom onnxstride.api"
        )
        write_files(tmp_path, {"one.py": source, "_helper.py": "BODY = 1\n"})
        assert find_rule(load_rules([str(tmp_path)]), "XX101").module.endswith(".one")

    def test_a_folder_given_twice_counts_once(self, tmp_path: Path) -> None:
        """Naming one folder by two paths is not a duplicate of its rules."""
        write_files(tmp_path / "rules", {"one.py": rule_source()})
        spelled = [str(tmp_path / "rules"), str(tmp_path / "rules" / ".." / "rules")]
        assert find_rule(load_rules(spelled), "XX101").code == "XX101"

    def test_another_folder_in_the_same_process_is_read_anew(self, tmp_path: Path) -> None:
        """Two calls with different folders do not see each other's files."""
        first = write_files(tmp_path / "first", {"one.py": rule_source("XX101", "first")})
        second = write_files(tmp_path / "second", {"one.py": rule_source("XX101", "second")})
        assert find_rule(load_rules([str(first)]), "XX101").name == "first"
        assert find_rule(load_rules([str(second)]), "XX101").name == "second"

    @pytest.mark.parametrize(
        ("files", "complaint"),
        [
            pytest.param({}, "found none", id="empty folder"),
            pytest.param({"_private.py": ""}, "found none", id="private modules only"),
        ],
    )
    def test_a_folder_without_rules_is_an_error(
        self, tmp_path: Path, files: dict[str, str], complaint: str
    ) -> None:
        """A folder that adds nothing was probably a mistake."""
        write_files(tmp_path, files)
        with pytest.raises(UsageError, match=complaint):
            load_rules([str(tmp_path)])

    def test_a_missing_folder_is_an_error(self, tmp_path: Path) -> None:
        """A folder that is not there is named."""
        with pytest.raises(UsageError, match="nowhere"):
            load_rules([str(tmp_path / "nowhere")])


class TestRefusals:
    @pytest.mark.parametrize(
        ("source", "complaint"),
        [
            pytest.param("import no_such_module", "ModuleNotFoundError", id="import error"),
            pytest.param("def broken(:", "SyntaxError", id="syntax error"),
            pytest.param("raise SystemExit(0)", "SystemExit", id="exits cleanly on import"),
            pytest.param('"""Text."""', "has no RULE", id="no RULE"),
            pytest.param(
                '"""Text."""\nRULE = "UP101"', "has a str for its RULE", id="RULE of another type"
            ),
            pytest.param(
                rule_source().replace("def check", "def other"), "has no check", id="no check"
            ),
            pytest.param(rule_source() + "\n__doc__ = ''", "no docstring", id="no docstring"),
            pytest.param(rule_source(code="x1"), "the code 'x1'", id="code of another form"),
            pytest.param(rule_source(name="Big_Name"), "the name 'Big_Name'", id="name not kebab"),
        ],
    )
    def test_a_module_that_is_no_rule_is_refused(
        self, tmp_path: Path, source: str, complaint: str
    ) -> None:
        """What cannot be loaded is an error that names the module, never a rule less."""
        write_files(tmp_path, {"broken.py": source})
        with pytest.raises(RuleError, match=complaint) as caught:
            load_rules([str(tmp_path)])
        assert "broken" in caught.value.message
        assert str(tmp_path.resolve()) in caught.value.message

    @pytest.mark.parametrize(
        ("second", "word"),
        [
            pytest.param(rule_source("XX101", "other-name"), "XX101", id="code taken twice"),
            pytest.param(rule_source("XX102", "planted"), "planted", id="name taken twice"),
        ],
    )
    def test_duplicates_are_refused(self, tmp_path: Path, second: str, word: str) -> None:
        """Two rules that one selector could mean are an error that names both modules."""
        write_files(tmp_path, {"first.py": rule_source(), "second.py": second})
        with pytest.raises(RuleError, match=f"two rules are called {word}") as caught:
            load_rules([str(tmp_path)])
        assert ".first " in caught.value.message
        assert ".second " in caught.value.message

    def test_a_folder_cannot_replace_a_built_in_rule(self, tmp_path: Path) -> None:
        """A built-in code stays what it is."""
        code = load_rules()[0].code
        write_files(tmp_path, {"mine.py": rule_source(code, "mine")})
        with pytest.raises(RuleError, match=code):
            load_rules([str(tmp_path)])


class TestPlugins:
    def test_an_installed_distribution_adds_its_rule(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Metadata on the search path is enough: nothing is registered anywhere else."""
        write_plugin(tmp_path, "planted_module_rule", rule_source())
        monkeypatch.syspath_prepend(tmp_path)
        assert find_rule(load_rules(), "XX101").origin == "plugin planted"

    def test_a_package_contributes_its_modules(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An entry point to a package stands for every module in it."""
        write_plugin(tmp_path, "unused", "")
        (tmp_path / "planted-1.0.dist-info" / "entry_points.txt").write_text(
            "[onnxstride.rules]\nall = planted_package.rules\n"
        )
        write_files(
            tmp_path / "planted_package" / "rules",
            {
                "../__init__.py": "",
                "__init__.py": "",
                "one.py": rule_source("XX101", "planted-one"),
                "two.py": rule_source("XX102", "planted-two"),
            },
        )
        monkeypatch.syspath_prepend(tmp_path)
        added = [rule.name for rule in load_rules() if rule.origin == "plugin planted"]
        assert added == ["planted-one", "planted-two"]

    @pytest.mark.parametrize(
        ("value", "complaint"),
        [
            pytest.param("no_such_plugin", "no_such_plugin .plugin planted. will not", id="gone"),
            pytest.param("json:loads", "will not import", id="names a function"),
            pytest.param("json.decoder", "has no RULE", id="module that is no rule"),
            pytest.param("concurrent", "holds no rule module", id="package without modules"),
        ],
    )
    def test_a_broken_plugin_is_an_error(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, complaint: str
    ) -> None:
        """A plugin that cannot give its rules stops the run and is named."""
        write_plugin(tmp_path, "unused", "")
        (tmp_path / "planted-1.0.dist-info" / "entry_points.txt").write_text(
            f"[onnxstride.rules]\nbroken = {value}\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(RuleError, match=complaint):
            load_rules()


class TestFindRule:
    @pytest.mark.parametrize("word", ["UP101", "up101", "uneven-overlap"])
    def test_code_and_name_find_a_rule(self, word: str) -> None:
        """A rule answers to its code, in any case, and to its name."""
        assert find_rule(load_rules(), word).code == "UP101"

    def test_an_unknown_word_suggests_the_nearest(self) -> None:
        """A typo costs one more try, not a search."""
        with pytest.raises(UsageError, match=r"'uneven-overlop'; did you mean 'uneven-overlap'\?"):
            find_rule(load_rules(), "uneven-overlop")
