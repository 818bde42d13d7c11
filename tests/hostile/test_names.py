"""A model whose every name is an attack, through every command and every format."""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from onnxstride.cli import main

_UNPRINTABLE = "\x1b\x07\x9b\b\x00\x85\u2028\u202e\u2066\u200b\ufeff"
_TERMINAL = "\x1b[31m\x1b]0;owned\x07\x9b2J\b\x00\x85\u2028\u202e\u2066\u200b\ufeff"
_SERVERS = (
    "\r\n::error file=a,title=b::owned\n ::stop-commands::x ##vso[task.setvariable]y ##[add]z"
)
_MARKUP = "]]> </testcase> <script>alert(1)</script> <img src=x onerror=y> `|` [a](b) {{ 7*7 }} \t"
EVIL = f"{_TERMINAL}{_SERVERS}{_MARKUP}"
IN_PATHS = EVIL.replace("\x00", "").replace("/", "")  # file names hold anything else


def _named(what: str) -> str:
    return f"{what}{EVIL}"


def _model() -> onnx.ModelProto:
    """A pool, a convolution and a transposed one, with something to say about each."""
    rng = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(rng.standard_normal((4, 4, 3, 3)).astype(np.float32), _named(name))
        for name in ("w", "v")
    ]
    pool = helper.make_node(
        "MaxPool", [_named("x")], [_named("p")], _named("pool"), kernel_shape=[2, 2],
        strides=[2, 2], doc_string=EVIL,
    )  # fmt: skip
    conv = helper.make_node(
        "Conv", [_named("p"), _named("v")], [_named("c")], _named("conv"), strides=[2, 2],
        auto_pad="SAME_UPPER",
    )  # fmt: skip
    up = helper.make_node(
        "ConvTranspose", [_named("c"), _named("w")], [_named("y")], _named("up"), strides=[2, 2]
    )
    given = helper.make_tensor_value_info(_named("x"), 1, [1, 4, 16, 16])
    made = helper.make_tensor_value_info(_named("y"), 1, [1, 4, 9, 9])
    graph = helper.make_graph([pool, conv, up], EVIL, [given], [made], weights, doc_string=EVIL)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(EVIL, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name=EVIL)
    model.metadata_props.add(key=EVIL, value=EVIL)
    return model


def _with_unknown_operator() -> onnx.ModelProto:
    model = _model()
    model.graph.node.add(op_type=EVIL, domain=EVIL, name=EVIL, input=[_named("y")], output=[EVIL])
    model.graph.output[0].name = EVIL
    return model


def _with_damaged_weight() -> onnx.ModelProto:
    model = _model()
    model.graph.initializer[1].raw_data = b"short"
    return model


def _with_external_weight() -> onnx.ModelProto:
    model = _model()
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=f"missing{EVIL}")
    weight.external_data.add(key="offset", value=EVIL)
    return model


def _with_cycle() -> onnx.ModelProto:
    model = _model()
    model.graph.node[0].input[0] = _named("y")
    return model


MODELS: dict[str, Callable[[], onnx.ModelProto]] = {
    "model": _model,
    "unknown operator": _with_unknown_operator,
    "damaged weight": _with_damaged_weight,
    "external weight": _with_external_weight,
    "cycle": _with_cycle,
}
EVERYTHING = ["--select", "ALL"]
_cmarkgfm: Any = import_module("cmarkgfm")  # it ships no types


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of an evil name, with the models in it."""
    made = tmp_path_factory.mktemp("hostile") / IN_PATHS
    made.mkdir()
    for name, build in MODELS.items():
        (made / f"{name}.onnx").write_bytes(build().SerializeToString())
    return made


def raw(text: str) -> set[str]:
    """What in a text could command a terminal, or a server that reads a log."""
    found = {char for char in text if char != "\n" and not char.isprintable()}
    found.update(re.findall(r"^\s*::", text, re.MULTILINE))
    found.update(re.findall(r"##\w*\[", text))
    return found


def _commands(text: str) -> str:
    """A report in workflow commands, without the beginnings that they are to have."""
    return re.sub(r"^::(error|warning|notice) file=[^\n:]*,title=[^\n:]*::", "", text, flags=re.M)


class _Page(HTMLParser):
    """The elements of a page, and the attributes they have."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags = set[str]()
        self.attributes = set[str]()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)


def _runs_scripts(html: str) -> bool:
    page = _Page(html)
    return "script" in page.tags or any(name.startswith("on") for name in page.attributes)


def _markdown(text: str) -> None:
    unsafe = _cmarkgfm.cmark.Options.CMARK_OPT_UNSAFE  # as a reader that lets HTML through
    page = _Page(_cmarkgfm.github_flavored_markdown_to_html(text, unsafe))
    assert page.tags
    assert not page.tags & {"script", "img", "testcase"}
    assert not page.attributes & {"src", "onerror"}


def _in_json(text: str) -> None:
    assert _named("up") in _strings(json.loads(text))


def _in_lines(text: str) -> None:
    assert _named("up") in _strings([json.loads(line) for line in text.splitlines()])


def _strings(value: object) -> set[str]:
    if isinstance(value, str):
        return {value}
    if isinstance(value, dict):
        return _strings(list(value.values()))
    return set().union(*map(_strings, value)) if isinstance(value, list) else set()


def _anything(text: str) -> None:
    assert text


READERS: dict[str, Callable[[str], object]] = {
    "text": _anything,
    "concise": _anything,
    "json": _in_json,
    "jsonl": _in_lines,
    "sarif": json.loads,
    "github": _anything,
    "gitlab": json.loads,
    "junit": ElementTree.fromstring,
    "markdown": _markdown,
}


@pytest.mark.parametrize("form", READERS)
@pytest.mark.parametrize("name", MODELS)
def test_lint(folder: Path, name: str, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every format is inert to look at, and still what a program of that format reads."""
    path = str(folder / f"{name}.onnx")
    why = ["--why"] if form in ("text", "json") else []
    code = main(["lint", path, *EVERYTHING, *why, "--output-format", form])
    out, err = capsys.readouterr()
    assert code == {"model": 1, "unknown operator": 1}.get(name, 2)
    assert err == ""
    assert "internal error" not in out
    assert raw(_commands(out) if form == "github" else out) == set()
    if name != "cycle" or form not in ("json", "jsonl"):
        READERS[form](out)


@pytest.mark.parametrize("form", ["text", "json", "csv", "markdown"])
@pytest.mark.parametrize("name", MODELS)
def test_report(folder: Path, name: str, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """So is the anatomy."""
    main(["report", str(folder / f"{name}.onnx"), "--output-format", form])
    out, err = capsys.readouterr()
    assert "internal error" not in err
    assert raw(out) == set()
    assert raw(err) == set()
    if form == "json" and name != "cycle":
        json.loads(out)
    if form == "markdown":
        _markdown(out)


def test_the_page(folder: Path, tmp_path: Path) -> None:
    """No name becomes markup, in text or in attributes."""
    page = tmp_path / "page.html"
    assert main(["report", str(folder / "model.onnx"), "--html", str(page)]) == 0
    text = page.read_text()
    assert raw(text) == set()
    assert not _runs_scripts(text)


OTHERS: dict[str, tuple[list[str], int]] = {
    "verify": (["verify", "model", "model"], 0),
    "verify as json": (["verify", "model", "model", "--output-format", "json"], 0),
    "verify what cannot be run": (["verify", "model", "unknown operator"], 1),
    "verify what cannot be read": (["verify", "model", "damaged weight"], 2),
    "rewrite": (["rewrite", "model", "-o", "out.onnx", *EVERYTHING, "--why"], 0),
    "rewrite what cannot be read": (["rewrite", "external weight", "-o", "no.onnx"], 2),
    "rewrite a cycle": (["rewrite", "cycle", "-o", "no.onnx"], 2),
    "diff": (["rewrite", "model", "--diff", "--why"], 1),
    "use": (["rewrite", "unknown operator", "--diff", "--use", "maxpool-to-conv"], 1),
    "annotate": (["annotate", "model", "-o", "noted.onnx"], 0),
    "annotate what cannot be read": (["annotate", "damaged weight", "-o", "no.onnx"], 2),
    "no such model": (["verify", "nothing", "model"], 2),
    "no such folder": (["lint", "model", "--output-file", "no/where"], 2),
    "a model in the way": (["lint", "model", "--output-file", "model.onnx"], 2),
    "statistics": (["lint", "model", "--statistics"], 1),
    "pictures": (["lint", "model", "--probe", "--save-pictures", "pictures"], 1),
    "no such input": (["lint", "model", "--input-shape", f"{IN_PATHS}:1,2"], 2),
    "no such symbol": (["lint", "model", "--dim", f"{IN_PATHS}=2"], 2),
    "a size that contradicts": (["lint", "model", "--input-shape", f"x{EVIL}:1,2"], 2),
}


@pytest.mark.parametrize(("arguments", "code"), OTHERS.values(), ids=OTHERS)
def test_other_commands(
    folder: Path, arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Results, refusals and complaints alike."""
    places = {name: str(folder / f"{name}.onnx") for name in MODELS}
    places |= {name: str(folder / name) for name in ("nothing", "no/where", "model.onnx")}
    places |= {name: str(folder / name) for name in ("out.onnx", "no.onnx", "noted.onnx")}
    places["pictures"] = str(folder.parent / "pictures")
    found = main([places.get(each, each) for each in arguments])
    out, err = capsys.readouterr()
    assert (found, "internal error" in err) == (code, False)
    assert raw(out) == set()
    assert raw(err) == set()


def test_what_is_written_holds_names_as_they_are(folder: Path, tmp_path: Path) -> None:
    """Names are part of the interface: a rewrite keeps them, and its report tells them."""
    out, report = tmp_path / "out.onnx", tmp_path / "report.json"
    model = str(folder / "model.onnx")
    assert main(["rewrite", model, "-o", str(out), "--report", str(report)]) == 0
    written = onnx.load(str(out)).graph
    assert (written.input[0].name, written.output[0].name) == (_named("x"), _named("y"))
    assert raw(report.read_text()) == set()
    assert _named("conv") in _strings(json.loads(report.read_text()))


def test_notes_are_inert(folder: Path, tmp_path: Path) -> None:
    """What annotate adds to a node's documentation is printable; what was there is left."""
    out = tmp_path / "noted.onnx"
    assert main(["annotate", str(folder / "model.onnx"), "-o", str(out)]) == 0
    for node in onnx.load(str(out)).graph.node:
        before, _, note = node.doc_string.partition("--- onnxstride ---")
        assert before.removesuffix("\n\n") == (EVIL if node.op_type == "MaxPool" else "")
        assert note
        assert raw(note) == set()


@pytest.mark.parametrize("place", ["pictures", "out"])
def test_pictures_stay_in_their_folder(folder: Path, tmp_path: Path, place: str) -> None:
    """Their names are made of what every file system takes."""
    target = tmp_path / place
    main(["lint", str(folder / "model.onnx"), "--probe", "--save-pictures", str(target)])
    names = [path.relative_to(tmp_path) for path in tmp_path.rglob("*")]
    assert [name for name in names if name.suffix == ".png"]
    assert all(re.fullmatch(r"[\w.-]+", part) for name in names for part in name.parts)


@pytest.mark.parametrize(
    "text",
    [*_UNPRINTABLE, "\r", "\t", "ok\n  ::error::x", "\n::add-mask::x", "##[error]b", "##vso[x]y"],
    ids=ascii,
)
def test_an_attack_is_seen(text: str) -> None:
    """The measure above knows each of them, and takes nothing else for one."""
    assert raw(f"before {text} after")
    assert raw("ns::conv # ## heading [x]\na b") == set()


@pytest.mark.parametrize("html", ["<p><script>x</script>", "<b onclick=x>", "<svg onload='x'/>"])
def test_a_script_is_seen(html: str) -> None:
    """And so is what runs in a page or in a rendered report."""
    assert _runs_scripts(html)
    assert not _runs_scripts('<p title="<script> onclick=x">&lt;script&gt;</p>')
    with pytest.raises(AssertionError):
        _markdown("text <img src=x onerror=y>")
