"""The closest configuration holds, and looking for it costs next to nothing."""

import os
from pathlib import Path

import pytest

from onnxstride.config import Config, Configs, meant
from onnxstride.errors import UsageError
from tests.planting import write_files

OWN, SHARED = "onnxstride.toml", "pyproject.toml"


def level(config: Config | None) -> str | None:
    return config.fail_on if config is not None else None


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, current, with configurations at several depths."""
    write_files(
        tmp_path,
        {
            OWN: 'fail-on = "error"',
            f"table/{SHARED}": '[tool.onnxstride]\nfail-on = "note"',
            "table/deep/down/x.onnx": "",
            f"none/{SHARED}": "[project]\nname = 'onnxstride-models'\n[tool.other]\nonnxstride = 1",
            f"both/{SHARED}": '[tool.onnxstride]\nfail-on = "note"',
            f"both/{OWN}": 'fail-on = "never"',
        },
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("x.onnx", "error", id="in the folder"),
        pytest.param("far/away/x.onnx", "error", id="above, through folders that are not there"),
        pytest.param("table/x.onnx", "note", id="closer"),
        pytest.param("table/deep/down/x.onnx", "note", id="above, the closest"),
        pytest.param("table/../x.onnx", "error", id="where the path leads"),
        pytest.param("none/x.onnx", "error", id="a pyproject.toml without the table"),
        pytest.param("both/x.onnx", "never", id="onnxstride.toml before pyproject.toml"),
        pytest.param(None, "error", id="without a path, the current folder"),
    ],
)
def test_the_closest_one_holds(tree: Path, path: str | None, expected: str) -> None:
    """From wherever the question is asked, with relative and with whole paths."""
    configs = Configs()
    assert level(configs.of(path)) == expected
    assert level(configs.of(path)) == expected
    if path is not None:
        assert level(configs.of(str(tree / path))) == expected


@pytest.mark.parametrize(
    "text",
    [
        "[tool.onnxstride]\nfail-on = 'note'",
        "  [ tool . 'onnxstride' ]\nfail-on = 'note'",
        '["tool"."onnxstride"]\nfail-on = "note"',
        "[project]\nname = 'x'\n\n[tool]\nonnxstride.fail-on = 'note'",
        "[tool]\nother = 1\nonnxstride = { fail-on = 'note' }",
        "tool.onnxstride.fail-on = 'note'",
        "'tool'.onnxstride = { fail-on = 'note' }",
        "tool = { onnxstride = { fail-on = 'note' } }",
        "[[tool.onnxstride.inputs]]\nfiles = '*'\n[tool.onnxstride.thresholds]\nprobe = 1",
    ],
)
def test_the_table_is_found_in_every_spelling(tree: Path, text: str) -> None:
    """A look at the bytes decides whether the file is parsed; it misses none."""
    write_files(tree, {f"spelled/{SHARED}": text})
    config = Configs().of("spelled/x.onnx")
    assert config is not None
    assert config.path == os.path.join("spelled", SHARED)


def test_a_project_that_bears_the_name_is_not_parsed(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only one that has the table is: this tool's own file, for one, holds for no model."""
    own = (Path(__file__).parents[2] / SHARED).read_bytes()
    assert b"onnxstride" in own
    (tree / "none" / SHARED).write_bytes(own + b"\nbroken = = 1")
    assert level(Configs().of("none/x.onnx")) == "error"


def test_one_for_all(tree: Path) -> None:
    """A configuration that is named holds everywhere, whatever its name."""
    write_files(tree, {"ci.toml": 'fail-on = "never"'})
    configs = Configs("ci.toml")
    assert [level(configs.of(path)) for path in ("table/x.onnx", None)] == ["never", "never"]
    assert level(Configs(f"table/{SHARED}").of("x.onnx")) == "note"


def test_none_at_all(tree: Path) -> None:
    """Isolated, nothing is looked for."""
    assert Configs(isolated=True).of("x.onnx") is None


def test_naming_one_and_wanting_none_exclude_each_other(tree: Path) -> None:
    """It is said at once."""
    with pytest.raises(UsageError, match="give one"):
        Configs(OWN, isolated=True)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        pytest.param("missing.toml", "cannot be read: No such file", id="missing"),
        pytest.param("table", "cannot be read: Is a directory", id="a folder"),
        pytest.param(f"none/{SHARED}", r"no table \[tool.onnxstride\]", id="without the table"),
    ],
)
def test_a_named_one_is_there(tree: Path, path: str, told: str) -> None:
    """Nothing passes for the configuration that was named."""
    with pytest.raises(UsageError, match=told):
        Configs(path)


def test_folders_are_looked_into_once(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand models in one folder cost what one costs."""
    looked: list[str] = []
    real = os.path.isfile

    def counted(path: str) -> bool:
        looked.append(path)
        return real(path)

    monkeypatch.setattr(os.path, "isfile", counted)
    configs = Configs()
    for number in range(1_000):
        configs.of(f"a/b/{number}.onnx")
    configs.of("a/c/x.onnx")
    folders = [str(tree / each) for each in ("a/b", "a", "", "a/c")]
    assert len(looked) <= 2 * len(folders)


def test_a_folder_of_that_name_is_no_configuration(tree: Path) -> None:
    """It is passed over."""
    (tree / "odd" / OWN).mkdir(parents=True)
    assert level(Configs().of("odd/x.onnx")) == "error"


def test_what_is_too_large_is_refused(tree: Path) -> None:
    """A file of a stranger is not read without end."""
    write_files(tree, {f"large/{OWN}": "#" * (1 << 20) + "\n"})
    with pytest.raises(UsageError, match="at most 1 MiB"):
        Configs().of("large/x.onnx")


def test_globs_and_paths_are_meant_from_where_the_file_lies(tree: Path) -> None:
    """Not from the current folder."""
    write_files(tree, {f"deep/{OWN}": 'baseline = "../known.json"\n[[inputs]]\nfiles = "a/*"'})
    config = Configs().of("deep/a/x.onnx")
    assert config is not None
    assert config.baseline == str(tree / "known.json")
    assert meant(config.from_here("deep/a/x.onnx"), ("a/*",))
    assert not meant(config.from_here("a/x.onnx"), ("a/*",))
