"""Notes on nodes: written where viewers look, and taken out without a trace."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import checker

from onnxstride.engine.annotating import BEGIN, END, RECORD, Annotated, Note, annotate
from onnxstride.graph import read_graph
from onnxstride.modelfile import ModelFile, open_model, parse_text
from onnxstride.modelfile.writer import write_model
from onnxstride.rule import NodeRef
from tests.modelfile.building import field
from tests.modelfile.everything import write_everything

RELU = """
    <ir_version: {ir}, opset_import: ["" : 17]>
    net (float[2] x) => (float[2] y) {{ y = Relu (x) }}"""
MINE = f"{BEGIN}\nit is wrong\n{END}"


def one_node(ir: int = 10, doc: str | None = None) -> ModelFile:
    """A model of one node, with this documentation."""
    model = parse_text(RELU.format(ir=ir))
    if doc is not None:
        model.proto.graph.node[0].doc_string = doc
    return model


def notes_for(model: ModelFile, line: str = "it is wrong") -> list[Note]:
    """A note for every node of every scope."""
    return [Note(node.ref, (line,), f'["{node.name}"]') for node in read_graph(model).nodes()]


def annotated(model: ModelFile, line: str = "it is wrong") -> ModelFile:
    return annotate(model, notes_for(model, line)).model


def cleared(model: ModelFile) -> ModelFile:
    return annotate(model, []).model


def encoded(model: ModelFile) -> bytes:
    data: bytes = model.proto.SerializeToString(deterministic=True)
    return data


def doc_of(model: ModelFile) -> str:
    text: str = model.proto.graph.node[0].doc_string
    return text


def without_places(model: onnx.ModelProto) -> bytes:
    """The model without what a note may be written to, written independently of the product."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for node in every_node(copy):
        node.ClearField("doc_string")
        kept = [entry for entry in node.metadata_props if entry.key != RECORD]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    data: bytes = copy.SerializeToString(deterministic=True)
    return data


def every_node(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    graphs = [model.graph, *model.functions]
    while graphs:
        for node in graphs.pop().node:
            yield node
            for attribute in node.attribute:
                graphs += [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]


class TestPlaces:
    """Where a note stands."""

    def test_it_follows_the_documentation(self) -> None:
        """After an empty line, between its two marks."""
        assert doc_of(annotated(one_node(doc="Halves."))) == f"Halves.\n\n{MINE}"

    def test_it_stands_alone_where_there_is_none(self) -> None:
        """No empty line is left over."""
        assert doc_of(annotated(one_node())) == MINE

    def test_it_is_recorded_for_programs(self) -> None:
        """As JSON in the node's metadata, after what is there."""
        model = one_node()
        model.proto.graph.node[0].metadata_props.add(key="mine", value="kept")
        entries = annotated(model).proto.graph.node[0].metadata_props
        assert [entry.key for entry in entries] == ["mine", RECORD]
        assert json.loads(entries[1].value) == ["y"]

    @pytest.mark.parametrize(("ir", "count"), [(9, 0), (10, 1)])
    def test_old_models_have_no_metadata_on_nodes(self, ir: int, count: int) -> None:
        """Before IR version 10 the documentation alone carries the note; the checker agrees."""
        model = annotated(one_node(ir))
        checker.check_model(model.proto, full_check=True)
        assert len(model.proto.graph.node[0].metadata_props) == count
        assert doc_of(model) == MINE

    def test_the_model_itself_is_left_alone(self) -> None:
        """What is edited is a copy."""
        model = one_node(doc="Halves.")
        before = encoded(model)
        annotated(model)
        assert encoded(model) == before

    def test_nodes_of_one_name_are_told_apart(self) -> None:
        """A node is found by its outputs and its scope, not by a name that others have."""
        model = parse_text("""
            <ir_version: 10, opset_import: ["" : 17]>
            net (float[2] x, bool flag) => (float[2] z) {
                [same] y = Relu (x)
                [same] z = If (flag) <
                    then_branch = a () => (float[2] o) { [same] o = Neg (y) },
                    else_branch = b () => (float[2] o) { [same] o = Exp (y) }
                >
            }""")
        neg = next(node for node in read_graph(model).nodes() if node.op_type == "Exp")
        result = annotate(model, [Note(neg.ref, ("it is wrong",), "[]")])
        docs = {node.op_type: node.doc_string for node in every_node(result.model.proto)}
        assert docs == {"Relu": "", "If": "", "Neg": "", "Exp": MINE}


class TestAgain:
    """Earlier notes."""

    @pytest.mark.parametrize("doc", [None, "", "Halves.", "Halves.\n", "\n\n", "a\n\n\n"])
    def test_the_same_again_changes_nothing(self, doc: str | None) -> None:
        """Annotating is idempotent."""
        once = annotated(one_node(doc=doc))
        assert encoded(annotated(once)) == encoded(once)

    def test_a_new_note_replaces_the_old(self) -> None:
        """Nothing of it is left, and it is counted."""
        model = annotated(one_node(doc="Halves."), "it was worse")
        result = annotate(model, notes_for(model))
        assert doc_of(result.model) == f"Halves.\n\n{MINE}"
        assert result.cleared == 1
        assert len(result.model.proto.graph.node[0].metadata_props) == 1

    def test_what_is_wrong_no_more_loses_its_note(self) -> None:
        """A node without findings carries none."""
        assert encoded(cleared(annotated(one_node()))) == encoded(one_node())

    def test_what_was_written_behind_it_stays(self) -> None:
        """Another tool's words after the block are its own."""
        model = annotated(one_node(doc="Halves."))
        model.proto.graph.node[0].doc_string += "\nSeen by another tool."
        assert doc_of(cleared(model)) == "Halves.\nSeen by another tool."

    @pytest.mark.parametrize(
        "doc",
        [
            pytest.param(BEGIN, id="a beginning"),
            pytest.param(f"{BEGIN}\nwithout an end", id="a block that never ends"),
            pytest.param(f"text\n\n{BEGIN}\n", id="a beginning after text"),
            pytest.param(END, id="an end"),
            pytest.param(f"see '{BEGIN}\nx\n{END}'", id="a block in the middle of a line"),
        ],
    )
    def test_what_only_looks_like_a_note_stays(self, doc: str) -> None:
        """It is documentation like any other."""
        model = one_node(doc=doc)
        assert encoded(cleared(annotated(model))) == encoded(model)
        assert encoded(cleared(model)) == encoded(model)

    @settings(max_examples=150, deadline=None, derandomize=True)
    @given(st.none() | st.lists(st.sampled_from(["\n", BEGIN, "a", END, " ", "\r\n"])).map("".join))
    def test_taking_out_gives_back(self, doc: str | None) -> None:
        """Whatever the documentation is, unless a whole note stands in it already."""
        model = cleared(one_node(doc=doc))
        once = annotated(model)
        assert encoded(cleared(once)) == encoded(model)
        assert encoded(annotated(once)) == encoded(once)


class TestEverything:
    """The model that holds every kind of field, with notes at all of its nodes."""

    def test_all_nodes_are_reached(self, tmp_path: Path) -> None:
        """Those of branches, of branches in branches and of functions too."""
        with open_model(write_everything(tmp_path)) as model:
            result = annotate(model, notes_for(model))
            nodes = list(every_node(result.model.proto))
            assert len(result.written) == len(nodes) > 15
            assert all(node.doc_string.endswith(MINE) for node in nodes)
            assert all(RECORD in {e.key for e in node.metadata_props} for node in nodes)

    def test_nothing_else_changes(self, tmp_path: Path) -> None:
        """Weights stay where they lie, external ones too; only the two fields differ."""
        path = write_everything(tmp_path)
        with open_model(path) as model:
            write_model(annotated(model), tmp_path / "out.onnx")
        before, after = (onnx.load(each, load_external_data=False) for each in _two(path))
        assert without_places(after) == without_places(before)
        assert after != before
        checker.check_model(str(tmp_path / "out.onnx"), full_check=True)

    def test_taking_out_gives_the_file_back(self, tmp_path: Path) -> None:
        """Byte for byte."""
        path = write_everything(tmp_path)
        with open_model(path) as model:
            write_model(annotated(model), tmp_path / "out.onnx")
        with open_model(tmp_path / "out.onnx") as model:
            write_model(cleared(model), tmp_path / "back.onnx")
        assert (tmp_path / "back.onnx").read_bytes() == path.read_bytes()

    @pytest.mark.parametrize("fault", ["metadata", "weights", "name", "body"])
    def test_a_loss_is_noticed(self, tmp_path: Path, fault: str) -> None:
        """The comparison sees other metadata, bytes of a weight, a name, a node of a body."""
        model = onnx.load(write_everything(tmp_path), load_external_data=False)
        before = without_places(model)
        FAULTS[fault](model)
        assert without_places(model) != before


def _two(path: Path) -> tuple[Path, Path]:
    return path, path.with_name("out.onnx")


def _other_metadata(model: onnx.ModelProto) -> None:
    node = next(node for node in every_node(model) if node.metadata_props)
    node.metadata_props[0].value += "x"


def _weights(model: onnx.ModelProto) -> None:
    tensor = next(tensor for tensor in model.graph.initializer if tensor.raw_data)
    tensor.raw_data = b"\xff" + tensor.raw_data[1:]


def _name(model: onnx.ModelProto) -> None:
    model.functions[0].node[0].name += "x"


def _body(model: onnx.ModelProto) -> None:
    choice = next(node for node in model.graph.node if node.op_type == "If")
    del choice.attribute[0].g.node[-1]


FAULTS: dict[str, Callable[[onnx.ModelProto], None]] = {
    "metadata": _other_metadata,
    "weights": _weights,
    "name": _name,
    "body": _body,
}


class TestNoText:
    """Documentation that is not UTF-8, which other tools have written all the same."""

    NOT_UTF_8 = field(6, b"Gr\xfc\xdfe")

    def model(self, ir: int) -> ModelFile:
        model = one_node(ir)
        node = model.proto.graph.node[0]
        node.MergeFromString(self.NOT_UTF_8)
        return model

    def noted(self, ir: int) -> Annotated:
        model = self.model(ir)
        return annotate(model, notes_for(model))

    def test_it_stays(self) -> None:
        """The metadata alone carries the note."""
        result = self.noted(10)
        assert self.NOT_UTF_8 in encoded(result.model)
        assert len(result.written) == 1
        assert encoded(cleared(result.model)) == encoded(self.model(10))

    def test_without_metadata_there_is_no_place(self) -> None:
        """The node is left alone, and told."""
        result = self.noted(9)
        assert result.refused == (NodeRef("y", "Relu", "", (), ("y",)),)
        assert result.written == ()
        assert encoded(result.model) == encoded(self.model(9))
