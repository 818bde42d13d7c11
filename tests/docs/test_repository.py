"""A repository of models lives with onnxstride as the documentation says.

What servers are told is read back and counted, and the counts held against the JSON report.
"""

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.packaging import test_pre_commit
from tests.packaging.action import Runner

from . import recipes
from .reading import READERS, Counts, counted, from_github
from .repository import (
    BASELINE,
    FOUND,
    IGNORED,
    MODELS,
    STATES,
    leave_pointer,
    put_model,
)
from .session import Session

Opened = Callable[[str], Session]

GATE = "--fail-on error"
"""What every recipe but one asks for."""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the repository in each of its states, to be copied."""
    folder, tools = (tmp_path_factory.mktemp(name) for name in ("kept", "tools"))
    with pytest.MonkeyPatch.context() as patched:
        patched.delenv("ONNXSTRIDE_OUTPUT_FORMAT", raising=False)
        for name, state in STATES.items():
            (folder / name).mkdir()
            patched.chdir(folder / name)
            state.make(Session(folder / name, tools))
    return folder


@pytest.fixture
def opened(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Opens a terminal in a copy of the repository in one of its states."""

    def in_state(name: str) -> Session:
        folder, tools = tmp_path / "repository", tmp_path / "tools"
        shutil.copytree(kept / name, folder)
        tools.mkdir()
        monkeypatch.chdir(folder)
        monkeypatch.delenv("ONNXSTRIDE_OUTPUT_FORMAT", raising=False)
        return Session(folder, tools)

    return in_state


def lint(session: Session, *options: str) -> tuple[int, dict[str, Any]]:
    """The exit code and the JSON report of a lint of all models."""
    ran = session.run(" ".join(["onnxstride lint models --output-format json", *options]))
    document: dict[str, Any] = json.loads(ran.printed)
    return ran.code, document


def told(session: Session, *options: str) -> Counts:
    """What the JSON report of a lint with these options counts."""
    return counted(lint(session, *options)[1])


def ignored(document: dict[str, Any]) -> Counts:
    """What a JSON report lists as let pass, by model, code and what lets it."""
    return Counter(
        (file["path"], each["finding"]["code"], each["by"])
        for file in document["files"]
        for each in file["ignored"]
    )


def read(name: str, file: str) -> Counts:
    """What the file says to the reader of this format."""
    return READERS[name](Path(file).read_text(encoding="utf-8"))


def entries() -> dict[str, Any]:
    """What the baseline records, by file."""
    files: dict[str, Any] = json.loads(Path(BASELINE).read_text(encoding="utf-8"))["files"]
    return files


in_each_state = pytest.mark.parametrize(
    ("state", "code"), [(name, state.code) for name, state in STATES.items()], ids=STATES
)


class TestRecipes:
    """Each as docs/ci.md has it: its exit code, and its files against the JSON report."""

    @pytest.mark.parametrize(
        ("recipe", "files"),
        [
            pytest.param(
                recipes.PLAIN_STEPS,
                {"markdown": "summary.md", "sarif": "onnxstride.sarif"},
                id="github",
            ),
            pytest.param(recipes.GITLAB, {"gitlab": "codequality.json"}, id="gitlab"),
            pytest.param(recipes.JENKINS, {"junit": "onnxstride.xml"}, id="jenkins"),
        ],
    )
    @in_each_state
    def test_a_script(
        self,
        recipe: str,
        files: dict[str, str],
        state: str,
        code: int,
        opened: Opened,
    ) -> None:
        """The last command decides, and its files are whole whatever it decides."""
        session = opened(state)
        *before, last = recipes.commands(recipe)
        assert [session.run(each).code for each in before] == [0] * len(before)
        ran = session.run(last, GITHUB_STEP_SUMMARY=str(session.folder / "summary.md"))
        assert ran.code == code, ran.printed
        expected = told(session, GATE)
        assert {name: read(name, file) for name, file in files.items()} == dict.fromkeys(
            files, expected
        )
        if "markdown" in files:
            assert from_github(ran.printed) == expected

    @in_each_state
    def test_the_action(self, state: str, code: int, opened: Opened, tmp_path: Path) -> None:
        """The log, the page of the job and the file to upload say the same."""
        session = opened(state)
        given = recipes.action_step()["with"]
        inputs = {name.replace("-", "_"): text for name, text in given.items()}
        outcome = Runner(session.folder, tmp_path / "home").run(**inputs)
        assert (outcome.code, outcome.outputs["exit-code"]) == (code, str(code)), outcome.log
        assert shutil.which("git") or outcome.outputs["sarif-file"]
        expected = told(session, given["args"], f"--fail-on {given['fail-on']}")
        assert read("sarif", outcome.outputs["sarif-file"]) == expected
        assert READERS["markdown"](outcome.summary) == expected
        assert from_github(outcome.log) == expected

    @in_each_state
    def test_the_hook(self, state: str, code: int, opened: Opened) -> None:
        """It is handed the models of a commit, and nothing else that is in it."""
        if not shutil.which("git"):
            pytest.skip("pre-commit needs git")
        session = opened(state)
        paths = (each for each in session.folder.rglob("*") if ".git" not in each.parts)
        files = [each.relative_to(session.folder).as_posix() for each in paths if each.is_file()]
        result = test_pre_commit.commit(
            session.folder, *files, changes={"args": recipes.hook()["args"]}
        )
        assert (result.code, result.exit_code) == (min(code, 1), code), result.out
        assert f"{len(MODELS) + (code == 2)} models, " in result.out


class TestTheReaders:
    """A count that is off by one finding is seen."""

    @pytest.mark.parametrize("name", READERS)
    def test_one_finding_less(self, name: str, opened: Opened) -> None:
        """Whichever report it is that lacks it."""
        session = opened("found")
        session.run(f"onnxstride lint models --also {name}=report")
        text = Path("report").read_text(encoding="utf-8")
        assert READERS[name](text) == FOUND
        less = READERS[name](WITHOUT_ONE[name](text))
        assert less != FOUND
        assert less <= FOUND

    @pytest.mark.parametrize("name", READERS)
    def test_a_model_that_cannot_be_read(self, name: str, opened: Opened) -> None:
        """It is an error beside nothing else, for all else is recorded."""
        session = opened("unreadable")
        session.run(f"onnxstride lint models --also {name}=report")
        assert list(read(name, "report").elements()) == [("models/pointer.onnx", "E002", "error")]


def _json_without(text: str, *path: str | int) -> str:
    document = part = json.loads(text)
    for key in path:
        part = part[key]
    del next(each for each in _lists(part) if each)[0]
    return json.dumps(document)


def _lists(part: Any) -> list[Any]:
    return [each["findings"] for each in part] if part and "findings" in part[0] else [part]


def _junit_without(text: str) -> str:
    head = 'name="models/resnet50.onnx" tests='
    fewer = text.replace(f'{head}"3"', f'{head}"2"')
    case = r'<testcase classname="models/resnet50.onnx".*?</testcase>'
    return re.sub(case, "", fewer, count=1, flags=re.DOTALL)


WITHOUT_ONE: dict[str, Callable[[str], str]] = {
    "json": lambda text: _json_without(text, "files"),
    "sarif": lambda text: _json_without(text, "runs", 0, "results"),
    "gitlab": lambda text: _json_without(text),
    "junit": _junit_without,
    "markdown": lambda text: re.sub(r"^\| error.*\n", "", text, flags=re.MULTILINE),
    "github": lambda text: text.replace("(3 nodes)", "(2 nodes)"),
}
"""A report of each kind with one of its findings taken out."""


class TestItsLife:
    """From the day it takes up onnxstride."""

    def test_what_is_found_and_what_is_let_pass(self, opened: Opened) -> None:
        """Each key of the configurations has its say, and so has the wish in the model."""
        session = opened("found")
        code, document = lint(session)
        assert (code, counted(document)) == (1, FOUND)
        assert ignored(document) == IGNORED
        assert [each for file in document["files"] for each in file["unmatched_ignores"]] == []
        bare = told(session, "--isolated", "--select UP101,SZ401")
        assert bare == Counter(
            {
                ("models/fsrcnn.onnx", "UP101", "warning"): 1,
                ("models/masks/unet.onnx", "SZ401", "warning"): 1,
            }
        )

    def test_from_adoption_to_a_model_that_cannot_be_read(self, opened: Opened) -> None:
        """New findings fail, mended ones have to be taken out of the record, and 2 stays 2."""
        session = opened("adopted")
        code, document = lint(session)
        assert (code, counted(document), document["stale_baseline"]) == (0, Counter(), [])
        recorded = Counter({key: n for key, n in ignored(document).items() if "baseline" in key})
        assert recorded.total() == FOUND.total()

        put_model(Path("models/faces.onnx"), "unet_resize")
        code, document = lint(session)
        new = Counter({("models/faces.onnx", "SZ401", "warning"): 1})
        assert (code, counted(document)) == (1, new)

        ran = session.run("onnxstride rewrite models/faces.onnx --in-place")
        assert ran.code == 0, ran.printed
        assert "PASS" in ran.printed
        assert lint(session)[0] == 0

        before = entries()
        put_model(Path("models/resnet50.onnx"), "resnet50_v1_5")
        code, document = lint(session)
        assert (code, counted(document)) == (1, Counter())
        stale = [(each["file"], each["code"]) for each in document["stale_baseline"]]
        assert stale == [("models/resnet50.onnx", "DN202")] * 3
        assert entries() == before

        ran = session.run("onnxstride lint models --prune")
        assert (ran.code, "3 entries pruned" in ran.printed) == (0, True)
        assert entries() == {file: of for file, of in before.items() if "resnet" not in file}
        assert lint(session)[0] == 0

        Path("models/faces.onnx").write_bytes(b"")
        code, document = lint(session)
        assert code == 2
        assert [file for file, _, _ in counted(document)] == ["models/faces.onnx"]

    @pytest.mark.parametrize("form", ["json", "sarif"])
    def test_a_report_is_the_same_to_the_byte(self, form: str, opened: Opened) -> None:
        """From one run to the next, and however many processes make it."""
        session = opened("found")
        leave_pointer(session)
        runs = [
            session.run(f"onnxstride lint models --output-format {form} --jobs {jobs}").printed
            for jobs in (1, 1, 2)
        ]
        assert runs == runs[:1] * 3
        assert READERS[form](runs[0]).total() == FOUND.total() + 1
