"""``pytest --onnxstride`` and the fixture, in test runs of their own."""

import os
import tomllib
from pathlib import Path

import pytest

from tests.library.test_library import BROKEN, POOL, UNEVEN
from tests.planting import write_files

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
BY_NAME = (
    *("-p", "onnxstride.pytest_plugin", "-p", "no:cacheprovider"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),  # this run has imported it already
)
"""Whatever is installed here: no plugin is loaded of itself in these runs."""

CLEAN = POOL.replace("net (float[N,2,H,W] x)", "net (float[N,2,8,8] x)")


@pytest.fixture(autouse=True)
def no_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


@pytest.fixture
def models(pytester: pytest.Pytester) -> Path:
    """A folder with a clean model, one with a finding, and one that is none."""
    files = {"models/clean.onnxtxt": CLEAN, "models/uneven.onnxtxt": UNEVEN, "models/a.txt": "no"}
    return write_files(pytester.path, files) / "models"


class TestOption:
    def test_each_model_is_a_test(self, pytester: pytest.Pytester, models: Path) -> None:
        """It fails with what lint says, and names the file as one would."""
        run = pytester.runpytest_inprocess(*BY_NAME, "--onnxstride", "-v", "models")
        run.assert_outcomes(passed=1, failed=1)
        run.stdout.fnmatch_lines(
            [
                "models/clean.onnxtxt::onnxstride PASSED*",
                "models/uneven.onnxtxt::onnxstride FAILED*",
            ]
        )
        run.stdout.fnmatch_lines(["*onnxstride: models/uneven.onnxtxt*", "  UP101  warning  up *"])
        assert "Traceback" not in run.stdout.str()
        assert ".py:" not in run.stdout.str()

    def test_a_model_may_be_named(self, pytester: pytest.Pytester, models: Path) -> None:
        """As any file of tests, or a test in it."""
        for argument in ("models/uneven.onnxtxt", "models/uneven.onnxtxt::onnxstride"):
            run = pytester.runpytest_inprocess(*BY_NAME, "--onnxstride", argument)
            run.assert_outcomes(failed=1)

    def test_configurations_are_heeded(self, pytester: pytest.Pytester, models: Path) -> None:
        """The closest one, one for all, or none; options come first."""
        write_files(models, {"onnxstride.toml": "fail-on = 'never'"})
        write_files(models, {"strict.toml": "fail-on = 'warning'"})
        for options, failed in (
            ((), 0),
            (("--onnxstride-fail-on", "warning"), 1),
            (("--onnxstride-config", "models/strict.toml"), 1),
            (("--onnxstride-isolated",), 1),
        ):
            run = pytester.runpytest_inprocess(*BY_NAME, "--onnxstride", *options, "models")
            run.assert_outcomes(passed=2 - failed, failed=failed)

    def test_a_broken_configuration_is_told(self, pytester: pytest.Pytester, models: Path) -> None:
        """In one line, by every test that it is to hold for."""
        write_files(models, {"onnxstride.toml": "fail-on = 'nver'"})
        run = pytester.runpytest_inprocess(*BY_NAME, "--onnxstride", "models/clean.onnxtxt")
        run.assert_outcomes(failed=1)
        run.stdout.fnmatch_lines(
            ["models/onnxstride.toml:1: expected fail-on to be one of *never*"]
        )

    def test_nothing_is_collected_without_it(self, pytester: pytest.Pytester, models: Path) -> None:
        """A folder of models is no folder of tests."""
        run = pytester.runpytest_inprocess(*BY_NAME, "models")
        assert run.ret == pytest.ExitCode.NO_TESTS_COLLECTED

    def test_models_stand_beside_tests(self, pytester: pytest.Pytester, models: Path) -> None:
        """Tests in Python are run all the same."""
        pytester.makepyfile(test_own="def test_own(): pass")
        run = pytester.runpytest_inprocess(*BY_NAME, "--onnxstride", "--import-mode=importlib")
        run.assert_outcomes(passed=2, failed=1)

    @pytest.mark.parametrize(
        ("options", "failed"),
        [
            pytest.param(["--onnxstride-select=UP101"], 1, id="the rule that finds something"),
            pytest.param(["--onnxstride-select=SZ4"], 0, id="others"),
            pytest.param(["--onnxstride-select=SZ4", "--onnxstride-select=UP101"], 1, id="both"),
            pytest.param(["--onnxstride-fail-on=never"], 0, id="never"),
        ],
    )
    def test_rules_and_severity_are_chosen(
        self, pytester: pytest.Pytester, models: Path, options: list[str], failed: int
    ) -> None:
        """As with the command."""
        run = pytester.runpytest_inprocess(
            *BY_NAME, "--onnxstride", *options, "models/uneven.onnxtxt"
        )
        run.assert_outcomes(failed=failed, passed=1 - failed)

    def test_what_cannot_be_read_fails(self, pytester: pytest.Pytester) -> None:
        """Whatever severity is let pass."""
        write_files(pytester.path, {"bad.onnx": "no model", "broken.onnxtxt": BROKEN})
        run = pytester.runpytest_inprocess(*BY_NAME, "--onnxstride", "--onnxstride-fail-on=never")
        run.assert_outcomes(failed=2)
        run.stdout.fnmatch_lines(["  E002   error", "  E004   error"])

    def test_a_wrong_code_fails_in_one_line(self, pytester: pytest.Pytester, models: Path) -> None:
        """With the nearest that there is, and no traceback."""
        run = pytester.runpytest_inprocess(
            *BY_NAME, "--onnxstride", "--onnxstride-select=UP1O1", "models/clean.onnxtxt"
        )
        run.assert_outcomes(failed=1)
        run.stdout.fnmatch_lines(["selector 'UP1O1' fits no rule*"])
        assert ".py:" not in run.stdout.str()


class TestFixture:
    def test_it_fails_the_test_with_what_is_found(
        self, pytester: pytest.Pytester, models: Path
    ) -> None:
        """And gives the report where nothing is; no option is needed."""
        pytester.makepyfile(
            """
            def test_clean(onnxstride_lint):
                assert onnxstride_lint("models/clean.onnxtxt").findings == ()

            def test_uneven(onnxstride_lint):
                onnxstride_lint("models/uneven.onnxtxt")

            def test_ignored(onnxstride_lint):
                assert onnxstride_lint("models/uneven.onnxtxt", ignore="UP")

            def test_let_pass(onnxstride_lint):
                assert onnxstride_lint("models", fail_on="never").findings
            """
        )
        run = pytester.runpytest_inprocess(*BY_NAME, "-v")
        run.assert_outcomes(passed=3, failed=1)
        run.stdout.fnmatch_lines(["*::test_uneven FAILED*"])
        run.stdout.fnmatch_lines(["  UP101  warning  up *"])

    def test_the_options_are_its_defaults(self, pytester: pytest.Pytester, models: Path) -> None:
        """A test can say otherwise."""
        pytester.makepyfile(
            """
            def test_default(onnxstride_lint):
                onnxstride_lint("models/uneven.onnxtxt")

            def test_own(onnxstride_lint):
                onnxstride_lint("models/uneven.onnxtxt", select="UP101", fail_on="warning")
            """
        )
        run = pytester.runpytest_inprocess(
            *BY_NAME, "--onnxstride-select=UP101", "--onnxstride-fail-on=never"
        )
        run.assert_outcomes(passed=1, failed=1)


def test_it_costs_nothing_where_it_is_not_used(pytester: pytest.Pytester) -> None:
    """A run that lints nothing loads no onnx, and of onnxstride only errors and the plugin."""
    pytester.makepyfile(
        """
        import sys

        def test_loaded():
            assert not {"onnx", "numpy", "click"} & set(sys.modules)
            own = {name for name in sys.modules if name.startswith("onnxstride")}
            assert own == {"onnxstride", "onnxstride.errors", "onnxstride.pytest_plugin"}
        """
    )
    pytester.runpytest_subprocess(*BY_NAME).assert_outcomes(passed=1)


def test_an_installation_brings_it_in(
    pytester: pytest.Pytester, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the entry point that the project file declares, without being named."""
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    [(name, value)] = project["entry-points"]["pytest11"].items()
    metadata = {
        "METADATA": "Name: onnxstride\nVersion: 0\n",
        "entry_points.txt": f"[pytest11]\n{name} = {value}\n",
    }
    site = write_files(pytester.path / "site" / "onnxstride-0.dist-info", metadata).parent
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), str(ROOT)]))
    run = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--onnxstride", "models")
    run.assert_outcomes(passed=1, failed=1)
    blocked = pytester.runpytest_subprocess("-p", f"no:{name}", "--onnxstride", "models")
    assert blocked.ret == pytest.ExitCode.USAGE_ERROR
