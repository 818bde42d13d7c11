"""A finding is known again after an export or a move, and never mistaken for another."""

from collections.abc import Sequence
from pathlib import Path

import onnx
import pytest
from hypothesis import given
from onnx import parser

from onnxstride.engine.lint import lint_file
from onnxstride.engine.policy import Policy
from onnxstride.engine.results import FileReport
from onnxstride.registry import load_rules
from onnxstride.report import fingerprint
from onnxstride.report.entries import entries, flat
from onnxstride.rule import NodeRef
from tests.planting import finding, report
from tests.report.hostile import RUNS, law

TWO = parser.parse_model("""<ir_version: 8, opset_import: ["": 17]>
two (float[1,8,16,16] x) => (float[1,8,8,8] y, float[1,4,33,33] z) <float[8,4,3,3] w> {
    ["pool"] y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)
    ["up"] z = ConvTranspose <kernel_shape = [3,3], strides = [2,2]> (x, w)
}""")


def exported_anew(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network with nodes in another order, behind one that is new."""
    again = onnx.ModelProto()
    again.CopyFrom(model)
    del again.graph.node[:]
    again.graph.node.append(onnx.helper.make_node("Identity", ["x"], ["unused"], name="new"))
    again.graph.node.extend(reversed(model.graph.node))
    return again


def marks(*reports: FileReport) -> list[str]:
    """The fingerprints of a run, which are unlike one another."""
    found = [entry.fingerprint for entry in flat(entries(reports))]
    assert len(found) == len(set(found))
    return found


def linted(model: onnx.ModelProto, path: Path) -> FileReport:
    """What the built-in rules say of a model that is written there."""
    path.parent.mkdir(exist_ok=True)
    onnx.save(model, path)
    return lint_file(str(path), load_rules(), Policy())


def assert_stable(folder: Path) -> None:
    """An export into another folder leaves every finding what it was."""
    before = linted(TWO, folder / "a" / "m.onnx")
    after = linted(exported_anew(TWO), folder / "b" / "m.onnx")
    named = [{(each.code, each.node.name) for each in it.findings} for it in (before, after)]
    assert named[0] == named[1]
    assert {node for _, node in named[0]} == {"pool", "up"}
    assert set(marks(before)) == set(marks(after))


def test_an_export_anew_in_another_folder_changes_none(tmp_path: Path) -> None:
    """Neither the order of nodes nor the folder is in it."""
    assert_stable(tmp_path)


def _with_folder(path: str, code: str, node: NodeRef | None) -> str:
    return f"{path} {code} {node.name if node else ''}"


def test_a_key_with_the_folder_would_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The law above is red for it."""
    monkeypatch.setattr(fingerprint, "_key", _with_folder)
    with pytest.raises(AssertionError):
        assert_stable(tmp_path)


def known(reports: Sequence[FileReport]) -> dict[tuple[str, ...], str]:
    """The fingerprint of each finding by what identifies it."""
    found = flat(entries(reports))
    return {(entry.path, entry.code, entry.where): entry.fingerprint for entry in found}


def assert_known_again() -> None:
    """A finding that goes away, or comes in front, changes no other."""
    nodes = [NodeRef(name, "Conv", "", (), ()) for name in "abc"]
    before = known([report("m", *(finding(node=node) for node in nodes))])
    after = known([report("m", *(finding(node=node) for node in reversed(nodes[1:])))])
    assert after.items() <= before.items()


def test_a_finding_more_or_less_changes_no_other() -> None:
    """It does not follow from a place in a list."""
    assert_known_again()


def test_a_key_without_the_node_would_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting alone gives a finding another number when one comes in front."""
    monkeypatch.setattr(fingerprint, "_key", lambda path, code, node: code)
    with pytest.raises(AssertionError):
        assert_known_again()


def test_the_message_is_not_in_it() -> None:
    """Its figures change with the weights."""
    assert marks(report("m", finding(message="a"))) == marks(report("m", finding(message="b")))


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(report("m", finding("XX102")), id="rule"),
        pytest.param(report("n", finding()), id="file name"),
        pytest.param(
            report("m", finding(node=NodeRef("conv", "Conv", "", ("loop.body",), ()))), id="scope"
        ),
        pytest.param(report("m", finding(node=NodeRef("conv2", "Conv", "", (), ()))), id="node"),
    ],
)
def test_what_is_another_finding_has_another(other: FileReport) -> None:
    """Rule, file, scope and node are in it."""
    assert marks(other) != marks(report("m", finding()))


def test_windows_paths_are_the_same_files() -> None:
    """A path has no folders in either spelling."""
    assert marks(report("a\\m", finding())) == marks(report("a/m", finding()))


def test_equal_ones_are_counted() -> None:
    """Two files of one name, and two findings of one rule at one node, are told apart."""
    twice = report("a/m", finding(), finding(message="along width"))
    both = marks(twice, report("b/m", finding()))
    assert len(both) == 3
    assert both[:2] == marks(twice)


@law
@given(RUNS)
def test_no_two_are_alike_in_a_run(reports: list[FileReport]) -> None:
    """Whatever the names, and with half characters in them."""
    for mark in marks(*reports):
        assert len(mark) == 32
        assert int(mark, 16) >= 0
