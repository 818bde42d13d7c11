"""Wishes that a model holds: read whole or not at all, written and taken out without a trace."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import checker

from onnxstride.engine.model_ignores import (
    KEY,
    LONGEST,
    Entry,
    Held,
    held_by,
    with_entries,
    without_entries,
)
from onnxstride.errors import InvalidIgnore
from onnxstride.graph import read_graph
from onnxstride.modelfile import ModelFile, open_model, parse_text
from onnxstride.modelfile.writer import write_model
from onnxstride.verify import complete
from tests.modelfile.building import field
from tests.modelfile.everything import write_everything

_runtime: Any = import_module("onnxruntime")  # it ships no types

NET = """
    <ir_version: 10, opset_import: ["" : 17]>
    net (float[1,2,8,8] x, bool flag) => (float[1,2,P,Q] z) {
        [pool] y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)
        z = If (flag) <
            then_branch = a () => (float[1,2,P,Q] o) { [inner] o = Neg (y) },
            else_branch = b () => (float[1,2,P,Q] p) { p = Relu (y) }
        >
    }"""
WISHES = [Entry("UP101", "pool", "drawn"), Entry("DN", None), Entry("gridding", "z.a > o", 'a"b')]


def net(value: str | None = None, *, at_node: str | None = None) -> ModelFile:
    """The model, with this value in its metadata, or in that of its first node."""
    model = parse_text(NET)
    for holder, text in ((model.proto, value), (model.proto.graph.node[0], at_node)):
        if text is not None:
            holder.metadata_props.add(key=KEY, value=text)
    return model


def held(model: ModelFile) -> Held:
    return held_by(model, read_graph(model))


def encoded(model: ModelFile) -> bytes:
    data: bytes = model.proto.SerializeToString(deterministic=True)
    return data


def every(entry: Entry) -> bool:
    return True


class TestReading:
    def test_the_model_names_rules_and_nodes(self) -> None:
        """A node and a reason may be left out."""
        value = json.dumps([{"code": "UP101", "node": "up", "reason": "drawn"}, {"code": "DN"}])
        assert held(net(value)).entries == (Entry("UP101", "up", "drawn"), Entry("DN", None))

    @pytest.mark.parametrize(
        ("value", "codes", "reason"),
        [
            pytest.param("UP101", ["UP101"], "", id="one"),
            pytest.param("UP101, DN202: a: b ", ["UP101", "DN202"], "a: b", id="two and a reason"),
            pytest.param("UP,UP:", ["UP"], "", id="twice"),
        ],
    )
    def test_a_node_names_rules(self, value: str, codes: list[str], reason: str) -> None:
        """They are about that node."""
        expected = tuple(Entry(code, "pool", reason, is_at_node=True) for code in codes)
        assert held(net(at_node=value)).entries == expected

    def test_nodes_of_bodies_are_named_with_what_is_around_them(self) -> None:
        """As reports name them."""
        model = net()
        inner = model.proto.graph.node[1].attribute[0].g.node[0]
        inner.metadata_props.add(key=KEY, value="ALL")
        assert held(model).entries == (Entry("ALL", "z.then_branch > inner", "", True),)

    @pytest.mark.parametrize(
        "value",
        [
            pytest.param("", id="nothing"),
            pytest.param("UP101", id="no JSON"),
            pytest.param('{"code": "UP101"}', id="no list"),
            pytest.param('["UP101"]', id="no object"),
            pytest.param('[{"node": "up"}]', id="no code"),
            pytest.param('[{"code": "UP101", "nodes": "up"}]', id="a field misspelt"),
            pytest.param('[{"code": "UP101", "node": null}]', id="a node that is no text"),
            pytest.param('[{"code": 1}]', id="a code that is no text"),
            pytest.param('[{"code": ""}]', id="an empty code"),
            pytest.param('[{"code": "UP101,DN202"}]', id="two codes in one"),
            pytest.param('[{"code": "UP101", "code": "DN"}]', id="a field said twice"),
            pytest.param("[" * 100_000, id="deep nesting"),
            pytest.param('[{"code":' * 50_000 + "1" + "}]" * 50_000, id="deep and complete"),
            pytest.param("9" * 50_000, id="a number beyond bounds"),
            pytest.param(" " * 10_000_000, id="ten megabytes"),
            pytest.param('[{"code": "UP101"}]' + " " * LONGEST, id="ten megabytes behind a list"),
        ],
    )
    def test_what_cannot_be_read_is_one_error(self, value: str) -> None:
        """Nothing of it counts, the rest does, and the message stays short."""
        found = held(net(value, at_node="UP101"))
        [fault] = found.faults
        assert fault.code == "E008"
        assert "of the model" in str(fault)
        assert len(str(fault)) < 400
        assert found.entries == (Entry("UP101", "pool", "", is_at_node=True),)

    @pytest.mark.parametrize(
        "value", ["", ":", ": reason", "UP101,", "UP 101", "[]", "\x1b[2J", "x" * (LONGEST + 1)]
    )
    def test_a_node_too(self, value: str) -> None:
        """It is named in the message."""
        [fault] = held(net('[{"code": "DN"}]', at_node=value)).faults
        assert "of node 'pool'" in str(fault)

    @pytest.mark.parametrize("number", [14, 9], ids=["model", "node"])
    def test_what_is_no_text_is_an_error(self, number: int) -> None:
        """Other tools write bytes that are not UTF-8 all the same."""
        model = parse_text(NET)
        holder = model.proto if number == 14 else model.proto.graph.node[0]
        holder.MergeFromString(field(number, field(1, KEY.encode()) + field(2, b"\xff")))
        assert "UTF-8" in str(held(model).faults[0])

    def test_other_metadata_is_not_looked_at(self) -> None:
        """Only the key counts."""
        model = net()
        model.proto.metadata_props.add(key=f"{KEY}s", value="{")
        assert held(model) == Held()


class TestWriting:
    def test_what_is_written_is_read(self) -> None:
        """In the order given, after what is there."""
        edited = with_entries(net('[{"code": "BD"}]'), WISHES)
        assert edited.entries == tuple(WISHES)
        assert held(edited.model).entries == (Entry("BD", None), *WISHES)
        checker.check_model(edited.model.proto, full_check=True)

    def test_what_is_there_is_not_written_again(self) -> None:
        """A value stays as it is spelled where nothing is added."""
        value = '[ {"code":"UP101","node":"pool","reason":"drawn"} ]'
        model = net(value)
        edited = with_entries(model, WISHES[:1])
        assert edited.entries == ()
        assert encoded(edited.model) == encoded(model)

    def test_a_new_reason_takes_the_place_of_the_old(self) -> None:
        """One wish about one node has one reason."""
        edited = with_entries(with_entries(net(), WISHES).model, [Entry("UP101", "pool", "known")])
        assert held(edited.model).entries == (*WISHES[1:], Entry("UP101", "pool", "known"))

    def test_the_model_itself_is_left_alone(self) -> None:
        """What is edited is a copy."""
        model = net()
        with_entries(model, WISHES)
        assert encoded(model) == encoded(net())

    def test_nothing_is_added_to_what_cannot_be_read(self) -> None:
        """It would be lost."""
        with pytest.raises(InvalidIgnore):
            with_entries(net("{"), WISHES)

    def test_nothing_is_written_that_would_not_be_read(self) -> None:
        """Beyond the longest value there are other ways, which the message names."""
        many = [Entry("UP101", f"{number}{'n' * 1000}") for number in range(1100)]
        with pytest.raises(InvalidIgnore, match="--write-baseline"):
            with_entries(net(), many)


class TestRemoving:
    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(
        st.lists(
            st.builds(
                Entry,
                st.sampled_from(["UP101", "DN", "ALL", "gridding"]),
                st.none() | st.text(st.characters(codec="utf-8")),
                st.text(),
                st.just(False),
            ),
            max_size=5,
        )
    )
    def test_taking_all_out_gives_back(self, entries: list[Entry]) -> None:
        """Whatever is said in them, and whatever other metadata there is."""
        model = net()
        model.proto.metadata_props.add(key="mine", value="kept")
        edited = with_entries(model, dict.fromkeys(entries)).model
        assert len(held(edited).entries) <= len(entries)
        assert encoded(without_entries(edited, every).model) == encoded(model)

    def test_some_of_them(self) -> None:
        """Those that are meant, at both places; the reason of a node stays with the others."""
        model = with_entries(net(at_node="UP101, DN202: drawn"), WISHES).model
        edited = without_entries(model, lambda entry: entry.code == "UP101")
        assert edited.entries == (WISHES[0], Entry("UP101", "pool", "drawn", True))
        left = (*WISHES[1:], Entry("DN202", "pool", "drawn", True))
        assert held(edited.model).entries == left

    def test_what_cannot_be_read_goes_where_that_is_asked_for(self) -> None:
        """And is an error where it is not."""
        model = net("{", at_node=",")
        with pytest.raises(InvalidIgnore):
            without_entries(model, every)
        edited = without_entries(model, every, with_unread=True)
        assert edited.unread == 2
        assert encoded(edited.model) == encoded(net())


class TestEverything:
    """The model that holds every kind of field, with weights inside and outside of its file."""

    def test_only_the_metadata_changes(self, tmp_path: Path) -> None:
        """Every other field is what it was, compared without the product."""
        path, out = write_everything(tmp_path), tmp_path / "out.onnx"
        with open_model(path) as model:
            write_model(with_entries(model, WISHES).model, out)
        before, after = (onnx.load(each, load_external_data=False) for each in (path, out))
        assert after.metadata_props[-1].key == KEY
        assert after != before
        del after.metadata_props[-1]
        assert after.SerializeToString(deterministic=True) == before.SerializeToString(
            deterministic=True
        )

    def test_taking_out_gives_the_file_back(self, tmp_path: Path) -> None:
        """Byte for byte."""
        path, out, back = (write_everything(tmp_path), tmp_path / "o.onnx", tmp_path / "b.onnx")
        with open_model(path) as model:
            write_model(with_entries(model, WISHES).model, out)
        with open_model(out) as model:
            write_model(without_entries(model, every).model, back)
        assert back.read_bytes() == path.read_bytes() != out.read_bytes()


class TestOtherTools:
    """What keeps the wishes of a model."""

    def test_saving_with_onnx(self, tmp_path: Path) -> None:
        """Both places stay."""
        model = with_entries(net(at_node="UP101"), WISHES).model
        onnx.save(model.proto, tmp_path / "saved.onnx")
        with open_model(tmp_path / "saved.onnx") as saved:
            assert held(saved) == held(model)

    def test_optimising_with_onnx_runtime(self, tmp_path: Path) -> None:
        """The model's place stays."""
        options = _runtime.SessionOptions()
        options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
        options.log_severity_level = 3
        data = complete(with_entries(net(), WISHES).model)
        _runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        with open_model(tmp_path / "optimised.onnx") as optimised:
            assert held(optimised).entries == tuple(WISHES)
