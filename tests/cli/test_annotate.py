"""The annotate command: what it writes into a model, what it says, and what it refuses."""

import json
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, checker

from onnxstride.cli import main
from onnxstride.modelfile import parse_text
from onnxstride.verify import complete

# One finding in the main graph and one in a branch.
BRANCHING = """
    <ir_version: {ir}, opset_import: ["" : 17]>
    net (float[1,2,H,W] x, bool flag) => (float[1,2,P,Q] z) {{
        [pool] y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)
        z = If (flag) <
            then_branch = a () => (float[1,2,P,Q] o) {{
                [inner] o = MaxPool <kernel_shape = [2,2], strides = [2,2], ceil_mode = 1> (y)
            }},
            else_branch = b () => (float[1,2,P,Q] p) {{ p = Relu (y) }}
        >
    }}"""
IN_FUNCTION = """
    <ir_version: 10, opset_import: ["" : 17, "local" : 1]>
    net (float[1,2,5,5] x) => (float[1,2,P,Q] y) { y = local.Halve (x) }
    <domain: "local", opset_import: ["" : 17]>
    Halve (x) => (y) {
        r = Neg (x)
        [pool] y = MaxPool <kernel_shape = [2,2], strides = [2,2], ceil_mode = 1> (r)
    }"""
CEIL = ["--select", "BD301"]


def written(folder: Path, text: str, name: str = "model.onnx") -> Path:
    """A model file."""
    path = folder / name
    path.write_bytes(complete(parse_text(text, name)))
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return written(tmp_path, BRANCHING.format(ir=10))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.onnx"


def inner(path: Path) -> onnx.NodeProto:
    """The pool in the branch."""
    node: onnx.NodeProto = onnx.load(path).graph.node[1].attribute[0].g.node[0]
    return node


class TestWriting:
    """What ends up in the file."""

    def test_findings_stand_at_their_nodes(
        self, model: Path, out: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """In the documentation as sentences, in the metadata as the JSON report has them."""
        assert main(["annotate", str(model), "-o", str(out), *CEIL]) == 0
        assert capsys.readouterr().out == f"{out}: 1 finding noted at 1 node\n"
        node = inner(out)
        begin, line, end = node.doc_string.splitlines()
        assert line.startswith("BD301 ceil-mode (note): ceil_mode")
        assert line.endswith("Remedies: explicit-padding (exact).")
        assert begin < line
        assert "onnxstride" in end
        (entry,) = node.metadata_props
        assert entry.key == "onnxstride.findings"
        assert main(["lint", str(model), *CEIL, "--output-format", "json"]) == 0
        (found,) = json.loads(capsys.readouterr().out)["files"][0]["findings"]
        del found["node"]
        assert json.loads(entry.value) == [found]

    def test_every_finding_is_noted_once(
        self, model: Path, out: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """All that lint finds, at the nodes it finds it at."""
        main(["lint", str(model), "--output-format", "json"])
        findings = json.loads(capsys.readouterr().out)["files"][0]["findings"]
        assert main(["annotate", str(model), "-o", str(out)]) == 0
        main_pool, branch_pool = onnx.load(out).graph.node[0], inner(out)
        assert {found["node"]["name"] for found in findings} == {"pool", "inner"}
        for node in (main_pool, branch_pool):
            codes = [found["code"] for found in findings if found["node"]["name"] == node.name]
            assert [line[:5] for line in node.doc_string.splitlines()[1:-1]] == codes
            assert [each["code"] for each in json.loads(node.metadata_props[0].value)] == codes
        checker.check_model(str(out), full_check=True)

    def test_nodes_of_functions(self, tmp_path: Path, out: Path) -> None:
        """Their findings stand in the function."""
        assert main(["annotate", str(written(tmp_path, IN_FUNCTION)), "-o", str(out), *CEIL]) == 0
        assert "BD301" in onnx.load(out).functions[0].node[1].doc_string

    def test_again_and_away(
        self, model: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Annotating twice is annotating once, and --remove gives the model back."""
        before, back = model.read_bytes(), tmp_path / "back.onnx"
        main(["annotate", str(model), "-o", str(out), *CEIL])
        once = out.read_bytes()
        capsys.readouterr()
        assert main(["annotate", str(out), "--in-place", *CEIL]) == 0
        said = "1 finding noted at 1 node; earlier notes are gone from 1 node"
        assert capsys.readouterr().out == f"{out}: {said}\n"
        assert out.read_bytes() == once
        assert main(["annotate", str(out), "--remove", "-o", str(back)]) == 0
        assert capsys.readouterr().out == f"{back}: notes taken out of 1 node\n"
        assert back.read_bytes() == before == model.read_bytes()
        assert main(["annotate", str(back), "--remove", "--in-place"]) == 0
        assert capsys.readouterr().out == f"{back}: a copy, as there was no note to take out\n"
        assert back.read_bytes() == before

    def test_nothing_found_is_a_copy(
        self, model: Path, out: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """And it is said that nothing was found."""
        assert main(["annotate", str(model), "-o", str(out), "--select", "UP101"]) == 0
        assert capsys.readouterr().out == f"{out}: no finding to note\n"
        assert out.read_bytes() == model.read_bytes()

    def test_sizes_are_those_given(self, model: Path, out: Path) -> None:
        """With sizes that need no extra window there is nothing to note; they stay out of OUT."""
        sizes = ["--input-shape", "x:1,2,8,8"]
        assert main(["annotate", str(model), "-o", str(out), *CEIL, *sizes]) == 0
        assert out.read_bytes() == model.read_bytes()

    def test_names_cannot_forge_an_end(self, tmp_path: Path, out: Path) -> None:
        """A message is one line, so whatever a name holds, taking out takes all out."""
        proto = onnx.load(written(tmp_path, BRANCHING.format(ir=10)))
        proto.graph.node[0].output[0] = "y\n--- end of onnxstride ---\n"
        for attribute in proto.graph.node[1].attribute:
            attribute.g.node[0].input[0] = proto.graph.node[0].output[0]
        hostile = tmp_path / "hostile.onnx"
        onnx.save(proto, hostile)
        assert main(["annotate", str(hostile), "-o", str(out)]) == 0
        assert main(["annotate", str(out), "--in-place", "--remove"]) == 0
        assert out.read_bytes() == hostile.read_bytes()

    def test_text_becomes_binary(self, tmp_path: Path, out: Path) -> None:
        """ONNX text is read, and written as the model it describes."""
        text = tmp_path / "model.onnxtxt"
        text.write_text(BRANCHING.format(ir=10))
        assert main(["annotate", str(text), "-o", str(out), *CEIL]) == 0
        assert "BD301" in inner(out).doc_string
        assert main(["annotate", str(text), "--in-place"]) == 2
        assert text.read_text() == BRANCHING.format(ir=10)

    def test_before_metadata(self, tmp_path: Path, out: Path) -> None:
        """A model of IR version 9 gets sentences only, and stays valid."""
        old = written(tmp_path, BRANCHING.format(ir=9))
        assert main(["annotate", str(old), "-o", str(out), *CEIL]) == 0
        checker.check_model(str(out), full_check=True)
        assert "BD301" in inner(out).doc_string
        assert not inner(out).metadata_props


class TestExternalData:
    """Weights in a file of their own."""

    @pytest.fixture
    def outside(self, tmp_path: Path) -> Path:
        """A model in a folder with its weights beside it."""
        folder = tmp_path / "there"
        folder.mkdir()
        proto = onnx.load(written(folder, BRANCHING.format(ir=10)))
        weight = TensorProto(name="w", data_type=1, dims=[4], data_location=TensorProto.EXTERNAL)
        weight.external_data.add(key="location", value="w.bin")
        proto.graph.initializer.append(weight)
        (folder / "w.bin").write_bytes(bytes(16))
        onnx.save(proto, folder / "model.onnx")
        return folder / "model.onnx"

    def test_it_stays_where_it_is(self, outside: Path) -> None:
        """Beside the model the new one refers to the same file."""
        target = outside.with_name("out.onnx")
        data = outside.with_name("w.bin")
        before = data.read_bytes()
        assert main(["annotate", str(outside), "-o", str(target), *CEIL]) == 0
        assert data.read_bytes() == before
        onnx.load(target)

    def test_elsewhere_it_is_copied_when_asked(
        self, outside: Path, out: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Otherwise the model would be without its weights, and is not written."""
        assert main(["annotate", str(outside), "-o", str(out), *CEIL]) == 2
        assert "external data ('w.bin')" in capsys.readouterr().err
        assert not out.exists()
        assert (
            main(["annotate", str(outside), "-o", str(out), *CEIL, "--external-data", "copy"]) == 0
        )
        assert (out.parent / "w.bin").read_bytes() == outside.with_name("w.bin").read_bytes()

    def test_what_cannot_be_read_is_not_annotated(
        self, outside: Path, out: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Notes on a part would pass for all there is; but they can be taken out."""
        outside.with_name("w.bin").unlink()
        there = outside.with_name("out.onnx")
        assert main(["annotate", str(outside), "-o", str(there)]) == 2
        told = capsys.readouterr().err
        assert "E006" in told
        assert "nothing was written" in told
        assert not there.exists()
        assert main(["annotate", str(outside), "-o", str(there), "--remove"]) == 0


REFUSED = {
    "no output": ([], "expected one of -o OUT and --in-place, found neither"),
    "both outputs": (["-o", "o.onnx", "--in-place"], "found both"),
    "itself": (["-o", "model.onnx"], "say --in-place to write over it"),
    "text": (["-o", "o.onnxtxt"], "the output is binary"),
    "rules for a removal": (
        ["-o", "o.onnx", "--remove", "--select", "UP"],
        "--remove runs no rules, and --select is about them",
    ),
    "a rule there is none of": (["-o", "o.onnx", "--select", "UP999"], "fits no rule"),
    "a size of nothing": (["-o", "o.onnx", "--dim", "HH=8"], "named 'HH'; did you mean 'H'?"),
    "a folder that is not there": (["-o", "no/o.onnx"], "no/o.onnx"),
}


@pytest.mark.parametrize(("options", "said"), REFUSED.values(), ids=REFUSED)
def test_refusal(
    options: list[str],
    said: str,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It ends with 2, says why, and leaves the folder as it was."""
    monkeypatch.chdir(model.parent)
    before = model.read_bytes()
    assert main(["annotate", "model.onnx", *options]) == 2
    assert said in capsys.readouterr().err
    assert [path.name for path in Path().iterdir()] == ["model.onnx"]
    assert model.read_bytes() == before


def test_no_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no model is told like everywhere."""
    (tmp_path / "m.onnx").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    assert main(["annotate", str(tmp_path / "m.onnx"), "--in-place"]) == 2
    assert "git lfs pull" in capsys.readouterr().err


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    """It tells where the notes go."""
    assert main(["annotate", "--help"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "onnxstride.findings" in told
    assert "--remove" in told
