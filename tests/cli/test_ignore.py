"""The ignore command: what it writes into a model, what it says, and what it refuses."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import onnx
import pytest

from onnxstride import library
from onnxstride.cli import main
from onnxstride.engine import model_ignores
from onnxstride.modelfile import parse_text
from onnxstride.verify import complete
from tests import schema

KEY = "onnxstride.ignore"
NET = """
    <ir_version: 10, opset_import: ["" : 17]>
    net (float[1,2,H,W] x, bool flag) => (float[1,2,P,Q] z) {
        [pool] y = MaxPool <kernel_shape = [2,2], strides = [2,2], ceil_mode = 1> (x)
        z = If (flag) <
            then_branch = a () => (float[1,2,P,Q] o) {
                o = MaxPool <kernel_shape = [2,2], strides = [2,2], ceil_mode = 1> (y)
            },
            else_branch = b () => (float[1,2,P,Q] p) { p = Relu (y) }
        >
    }"""


class Shell:
    """Runs commands in a folder with one model, and keeps what they say."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.out = self.err = ""

    def __call__(self, *arguments: str) -> int:
        code = main(list(arguments))
        self.out, self.err = self._capsys.readouterr()
        return code

    def file(self, name: str = "model.onnx", *options: str) -> Any:
        """What the JSON report says of the file."""
        self("lint", name, "--output-format", "json", *options)
        document = json.loads(self.out)
        schema.validate(document)
        return document["files"][0]


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    model = parse_text(NET)
    model.proto.graph.node[1].attribute[0].g.node[0].name = "in\x1bner"
    Path("model.onnx").write_bytes(complete(model))
    return Shell(capsys)


def add_external_weight() -> None:
    """Give the model a weight whose bytes are to be in w.bin."""
    proto = onnx.load("model.onnx")
    weight = onnx.TensorProto(
        name="w", data_type=1, dims=[4], data_location=onnx.TensorProto.EXTERNAL
    )
    weight.external_data.add(key="location", value="w.bin")
    proto.graph.initializer.append(weight)
    onnx.save(proto, "model.onnx")


def value(name: str = "model.onnx") -> Any:
    """What the metadata holds; None without an entry."""
    found = [each.value for each in onnx.load(name).metadata_props if each.key == KEY]
    return json.loads(found[0]) if found else None


class TestWriting:
    def test_a_finding_is_gone_and_told_with_its_reason(self, run: Shell) -> None:
        """From the model's own metadata, wherever it is linted next."""
        before = run.file()
        arguments = ["--node", "pool", "--code", "BD301", "--reason", "drawn\x1b[2J"]
        assert run("ignore", "model.onnx", *arguments, "-o", "out.onnx") == 0
        assert run.out == "out.onnx: BD301 at pool is ignored: 1 finding\n"
        assert value("out.onnx") == [{"code": "BD301", "node": "pool", "reason": "drawn\x1b[2J"}]
        after = run.file("out.onnx")
        [ignored] = after["ignored"]
        assert ignored["finding"] in before["findings"]
        assert (ignored["by"], ignored["where"]) == ("model", "out.onnx")
        assert [each for each in before["findings"] if each != ignored["finding"]] == (
            after["findings"]
        )
        run("lint", "out.onnx", "--why")
        assert "drawn\\x1b[2J" in run.out
        assert "\x1b" not in run.out
        assert ", 1 ignored\n" in run.out

    def test_several_rules_at_several_nodes(self, run: Shell) -> None:
        """Each with each; names of nodes as they are printed."""
        nodes = ["--node", "pool", "--node", "z.then_branch > in\\x1bner"]
        codes = ["--code", "BD301,ceil-mode", "--code", "DN2"]
        assert run("ignore", "model.onnx", *nodes, *codes, "--in-place") == 0
        assert [(each["code"], each["node"]) for each in value()] == [
            (code, node)
            for node in ("pool", "z.then_branch > in\x1bner")
            for code in ("BD301", "ceil-mode", "DN2")
        ]
        assert "\x1b" not in run.out

    def test_every_node(self, run: Shell) -> None:
        """Where none is named."""
        assert run("ignore", "model.onnx", "--code", "ALL", "--in-place") == 0
        assert value() == [{"code": "ALL"}]
        assert run.file()["findings"] == []
        assert len(run.file("model.onnx", "--no-ignore")["findings"]) >= 4

    @pytest.mark.parametrize(
        ("code", "node", "said"),
        [
            ("UP101", "pool", "no finding matches it now"),
            ("UP106", "pool", "what it matches is told by lint --probe"),
            ("BD", "pool", "1 finding"),
        ],
    )
    def test_it_says_what_matches(self, run: Shell, code: str, node: str, said: str) -> None:
        """A wish that matches nothing is written all the same."""
        assert run("ignore", "model.onnx", "--code", code, "--node", node, "--in-place") == 0
        assert run.out == f"model.onnx: {code} at {node} is ignored: {said}\n"
        assert run("ignore", "model.onnx", "--code", code, "--node", node, "--in-place") == 0
        assert run.out == f"model.onnx: {code} at {node} was ignored already: {said}\n"

    def test_sizes_and_configuration_count_as_in_a_lint(self, run: Shell) -> None:
        """With sizes that need no extra window there is nothing to match."""
        wish = ["ignore", "model.onnx", "--code", "BD301", "--node", "pool"]
        run(*wish, "-o", "a.onnx", "--input-shape", "x:1,2,8,8")
        assert "no finding matches it now" in run.out
        Path("onnxstride.toml").write_text(
            'ignore = ["BD"]\n[[inputs]]\nfiles = "*"\nshapes = {x = [1, 2, 8, 8]}\n'
        )
        run(*wish, "-o", "a.onnx")
        assert "no finding matches it now" in run.out
        run(*wish, "-o", "a.onnx", "--isolated")
        assert "1 finding" in run.out

    def test_a_part_that_cannot_be_read_is_said(self, run: Shell) -> None:
        """The wish is written: it may be what is wished of the rest."""
        add_external_weight()
        assert run("ignore", "model.onnx", "--code", "UP101", "--in-place") == 0
        assert "what it matches is not known, E006: " in run.out


class TestRemoving:
    def test_the_model_is_what_it_was(self, run: Shell) -> None:
        """Byte for byte."""
        before = Path("model.onnx").read_bytes()
        run("ignore", "model.onnx", "--code", "BD,DN", "--node", "pool", "--in-place")
        assert Path("model.onnx").read_bytes() != before
        assert run("ignore", "model.onnx", "--remove", "--in-place") == 0
        assert run.out == "".join(
            f"model.onnx: {code} at pool is taken out\n" for code in ("BD", "DN")
        )
        assert Path("model.onnx").read_bytes() == before

    def test_nothing_to_take_out(self, run: Shell) -> None:
        """It is said; a file that stays as it is is not written, a copy is."""
        before = os.stat("model.onnx")
        assert run("ignore", "model.onnx", "--remove", "--in-place") == 0
        assert run.out == "model.onnx: nothing is ignored, so there is nothing to take out\n"
        assert os.stat("model.onnx") == before
        assert run("ignore", "model.onnx", "--remove", "-o", "out.onnx") == 0
        assert Path("out.onnx").read_bytes() == Path("model.onnx").read_bytes()

    def test_some(self, run: Shell) -> None:
        """By rule, by node, by both."""
        run("ignore", "model.onnx", "--code", "BD,DN", "--node", "pool", "--in-place")
        run("ignore", "model.onnx", "--code", "BD", "--in-place")
        wishes = value()
        for options, left in (
            (["--code", "BD"], [wishes[1]]),
            (["--node", "pool"], [wishes[2]]),
            (["--code", "BD", "--node", "pool"], wishes[1:]),
        ):
            assert run("ignore", "model.onnx", "--remove", *options, "-o", "out.onnx") == 0
            assert value("out.onnx") == left

    def test_what_cannot_be_read_goes_with_all(self, run: Shell) -> None:
        """It is an error of every lint until then."""
        before = Path("model.onnx").read_bytes()
        proto = onnx.load("model.onnx")
        proto.metadata_props.add(key=KEY, value="{")
        onnx.save(proto, "model.onnx")
        assert run("lint", "model.onnx") == 2
        assert "E008" in run.out
        assert "BD301" in run.out
        assert run("lint", "model.onnx", "--no-ignore", "--exit-zero") == 0
        for refused in (["--code", "BD"], ["--remove", "--code", "BD"]):
            assert run("ignore", "model.onnx", *refused, "--in-place") == 2
            assert "model.onnx: metadata 'onnxstride.ignore' of the model" in run.err
        assert run("ignore", "model.onnx", "--list") == 2
        assert run("ignore", "model.onnx", "--remove", "--in-place") == 0
        assert run.out == "model.onnx: taken out: 1 value that cannot be read\n"
        assert Path("model.onnx").read_bytes() == before


def test_what_is_ignored_is_listed(run: Shell) -> None:
    """Of both places, safe to print; nothing is written."""
    assert run("ignore", "model.onnx", "--list") == 0
    assert run.out == "model.onnx: nothing is ignored\n"
    run("ignore", "model.onnx", "--code", "BD", "--reason", "a\x1bb", "--in-place")
    proto = onnx.load("model.onnx")
    inner = proto.graph.node[1].attribute[0].g.node[0]
    inner.metadata_props.add(key=KEY, value="DN202: drawn")
    onnx.save(proto, "model.onnx")
    before = Path("model.onnx").read_bytes()
    assert run("ignore", "model.onnx", "--list") == 0
    assert run.out.splitlines() == [
        "model.onnx: BD at every node: a\\x1bb",
        "model.onnx: DN202 at z.then_branch > in\\x1bner (in the metadata of the node): drawn",
    ]
    assert Path("model.onnx").read_bytes() == before


def test_wishes_that_match_nothing_are_told_and_fail_nothing(run: Shell) -> None:
    """In text and JSON; on standard error where a format has no place for it."""
    run("ignore", "model.onnx", "--code", "UP101", "--node", "pool", "--in-place")
    told = "model.onnx: the ignore of UP101 at pool matches nothing"
    assert run("lint", "model.onnx", "--fail-on", "error") == 0
    assert f"\n{told}\n\n1 model" in run.out
    assert run("lint", "model.onnx", "--fail-on", "error", "-q") == 0
    assert told not in run.out
    [unmatched] = run.file()["unmatched_ignores"]
    assert (unmatched["code"], unmatched["nodes"]) == ("UP101", "pool")
    assert run.file("model.onnx", "--select", "DN")["unmatched_ignores"] == []
    run("lint", "model.onnx", "--output-format", "sarif")
    assert run.err == f"onnxstride: {told}\n"
    run("lint", "model.onnx", "--output-format", "sarif", "--also", "json=a.json")
    assert run.err == ""


def test_a_rule_that_is_not_there_is_told_by_lint(run: Shell) -> None:
    """It may be of a plugin that is not installed here."""
    proto = onnx.load("model.onnx")
    proto.metadata_props.add(key=KEY, value='[{"code": "ZZ999"}]')
    onnx.save(proto, "model.onnx")
    assert run("lint", "model.onnx", "--fail-on", "error") == 0
    assert "the ignore of ZZ999 matches nothing" in run.out


def test_annotate_and_report_show_what_lint_shows(run: Shell) -> None:
    """What is ignored is neither noted nor on the page; both say how much it is."""
    run("ignore", "model.onnx", "--code", "BD", "--in-place")
    assert run("annotate", "model.onnx", "-o", "a.onnx") == 0
    assert run.out.endswith(", 2 ignored\n")
    assert "BD301" not in onnx.load("a.onnx").graph.node[0].doc_string
    assert run("report", "model.onnx", "--html", "a.html", "--output-file", "a.txt") == 0
    page = Path("a.html").read_text()
    assert "2 ignored" in page
    assert "BD301" not in page
    assert "DN201" in page


REFUSED = {
    "no rule": ([], "expected --code CODE"),
    "no output": (["--code", "BD"], "expected one of -o OUT and --in-place, found neither"),
    "both outputs": (["--code", "BD", "-o", "o.onnx", "--in-place"], "found both"),
    "no such rule": (["--code", "BD3O1", "--in-place"], "did you mean 'BD301'"),
    "an empty rule": (["--code", "BD,", "--in-place"], "selector '' fits no rule"),
    "no such node": (["--code", "BD", "--node", "pol", "--in-place"], "did you mean 'pool'?"),
    "a node without what is around it": (
        ["--code", "BD", "--node", "in\\x1bner", "--in-place"],
        "did you mean 'z.then_branch > in\\\\x1bner'?",
    ),
    "text": (["--code", "BD", "-o", "o.onnxtxt"], "the output is binary"),
    "a removal of what is not there": (
        ["--remove", "--code", "BD", "--in-place"],
        "onnxstride ignore --list",
    ),
    "a reason for a removal": (
        ["--remove", "--reason", "x", "--in-place"],
        "--remove has no use for --reason",
    ),
    "a list and a removal": (["--list", "--remove"], "give one"),
    "a list with an output": (["--list", "-o", "o.onnx"], "--list writes nothing"),
    "a list of rules": (["--list", "--code", "BD"], "--list has no use for --code"),
    "a size of nothing": (["--code", "BD", "--dim", "HH=8", "--in-place"], "'HH'"),
    "a folder that is not there": (["--code", "BD", "-o", "no/o.onnx"], "no/o.onnx"),
}


@pytest.mark.parametrize(("options", "said"), REFUSED.values(), ids=REFUSED)
def test_refusal(run: Shell, options: list[str], said: str) -> None:
    """It ends with 2, says why on one line, and leaves the folder as it was."""
    before = Path("model.onnx").read_bytes()
    assert run("ignore", "model.onnx", *options) == 2
    assert said in run.err
    assert (run.out, run.err.count("\n")) == ("", 1)
    assert [path.name for path in Path().iterdir()] == ["model.onnx"]
    assert Path("model.onnx").read_bytes() == before


def test_external_data_stays_where_it_is(run: Shell) -> None:
    """Beside the model; elsewhere it is copied where that is asked for."""
    add_external_weight()
    Path("w.bin").write_bytes(bytes(16))
    os.mkdir("other")
    before = os.stat("w.bin")
    wish = ["ignore", "model.onnx", "--code", "BD"]
    assert run(*wish, "--in-place") == 0
    assert os.stat("w.bin") == before
    assert run(*wish, "-o", "other/o.onnx") == 2
    assert run(*wish, "-o", "other/o.onnx", "--external-data", "copy") == 0
    assert Path("other/w.bin").read_bytes() == bytes(16)


def test_a_model_that_changes_meanwhile_is_not_overwritten(
    run: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another has written is not lost."""
    original = model_ignores.with_entries

    def written_meanwhile(*arguments: Any) -> Any:
        edited = original(*arguments)
        Path("model.onnx").write_bytes(b"by another")
        return edited

    monkeypatch.setattr(model_ignores, "with_entries", written_meanwhile)
    assert run("ignore", "model.onnx", "--code", "BD", "--in-place") == 2
    assert "changed" in run.err
    assert Path("model.onnx").read_bytes() == b"by another"


def test_rewrite_leaves_alone_what_is_ignored(run: Shell) -> None:
    """Unless a rewrite is named; and does nothing where what is ignored cannot be read."""
    mend = ["rewrite", "model.onnx", "--diff", "--select", "BD301"]
    assert run(*mend) == 1
    assert run("ignore", "model.onnx", "--code", "BD301", "--in-place") == 0
    assert run(*mend) == 0
    assert run("rewrite", "model.onnx", "--diff", "--use", "explicit-padding") == 1
    proto = onnx.load("model.onnx")
    proto.metadata_props[0].value = "{"
    onnx.save(proto, "model.onnx")
    assert run(*mend) == 2
    assert "metadata 'onnxstride.ignore' of the model" in run.err


def test_the_library_tells_what_was_ignored(run: Shell) -> None:
    """Of all files, each with what asks for it; and shows everything where that is asked for."""
    run("ignore", "model.onnx", "--code", "BD,UP", "--reason", "drawn", "--in-place")
    report = library.lint("model.onnx", select="BD301,UP101")
    assert report
    assert [each.finding.code for each in report.ignored] == ["BD301", "BD301"]
    assert {each.ignore.reason for each in report.ignored} == {"drawn"}
    assert [each.codes for each in report.unmatched] == [("UP",)]
    assert (report.findings, report.stale) == ((), None)
    run("lint", "model.onnx", "--select", "BD301,UP101", "--output-format", "json")
    assert run.out == report.as_json()
    run("lint", "model.onnx", "--select", "BD301,UP101", "--why")
    assert run.out == report.as_text(width=100, why=True)
    everything = library.lint("model.onnx", select="BD301", heed_ignores=False)
    assert len(everything.findings) == 2
    assert pickle.loads(pickle.dumps(report)) == report  # noqa: S301 - our own bytes
