"""A rewrite that is killed or told to end, at whatever moment: the model there is whole."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from onnx import TensorProto, helper

from onnxstride.cli import main
from tests.modelfile.building import raw_tensor

from .forking import command, forked, struck

_LEFT = re.compile(r"\.onnxstride-[0-9a-f]{16}\.tmp")
_OLD = b"what was there before"
_MOST = 400  # far more calls than any of these runs makes


def _same_padded(folder: Path, *, external: bool) -> Path:
    """A model that is rewritten, its weight of 72 KiB in it or beside it."""
    weight = raw_tensor("w", 64 * 32 * 9)
    weight.dims[:] = [64, 32, 3, 3]
    folder.mkdir()
    if external:
        (folder / "w.bin").write_bytes(weight.raw_data)
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        weight.external_data.add(key="location", value="w.bin")
    node = helper.make_node(
        "Conv", ["x", "w"], ["y"], "conv", auto_pad="SAME_UPPER", strides=[2, 2]
    )
    shape = [1, 32, 9, 9], [1, 64, 5, 5]
    given, made = (helper.make_tensor_value_info(n, 1, s) for n, s in zip("xy", shape, strict=True))
    graph = helper.make_graph([node], "g", [given], [made], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    return folder / "m.onnx"


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class Case:
    """A rewrite from one folder into another, or in place, that can be repeated from the start."""

    def __init__(self, folder: Path, kind: str) -> None:
        is_external, self.in_place = kind == "with a copy of its data", kind == "in place"
        self.model = _same_padded(folder / "from", external=is_external)
        self.out = self.model.parent if self.in_place else folder / "to"
        self.out.mkdir(exist_ok=True)
        self.target = self.model if self.in_place else self.out / "out.onnx"
        where = ["--in-place"] if self.in_place else ["-o", str(self.target)]
        copies = ["--external-data", "copy"] if is_external else []
        self.arguments = ["rewrite", str(self.model), "--no-verify", *where, *copies]
        if kind == "over another":
            self.target.write_bytes(_OLD)
        self.original = _files(self.model.parent)
        self.before = _files(self.out)
        assert main(self.arguments) == 0
        self.after = _files(self.out)
        assert self.after != self.before
        self.said = folder / "said"

    def restore(self) -> None:
        """Puts everything back as it was before the rewrite."""
        for folder, content in ((self.out, self.before), (self.model.parent, self.original)):
            for path in folder.iterdir():
                path.unlink()
            for name, data in content.items():
                (folder / name).write_bytes(data)

    def left(self) -> set[str]:
        """Names of what is there besides files that are whole, old ones or new ones."""
        found = _files(self.out)
        if not self.in_place:
            assert _files(self.model.parent) == self.original
        whole = {
            name
            for name, data in found.items()
            if data in (self.before.get(name), self.after.get(name))
        }
        assert set(self.before) <= whole
        return set(found) - whole


KINDS = ["to a new file", "over another", "in place", "with a copy of its data"]


@pytest.fixture(params=KINDS)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    return Case(tmp_path, request.param)


def _sweep(case: Case, number: signal.Signals) -> Iterator[int]:
    """Strikes at one call after the other, until one run makes fewer; yields how each ended."""
    for at in range(_MOST):
        case.restore()
        ending = forked(struck(number, at, command(*case.arguments)), case.said)
        assert ending.err.strip() == ""
        yield ending.code
        if ending.code == 0:
            return
    pytest.fail("no run came to its end")


def test_killed_at_every_call(case: Case) -> None:
    """Under the final name is what was there or all of the new; the rest is told by its name."""
    leftovers = set[bool]()
    for code in _sweep(case, signal.SIGKILL):
        assert code in (0, -signal.SIGKILL)
        left = case.left()
        assert all(_LEFT.fullmatch(name) for name in left)
        leftovers.add(bool(left))
    assert leftovers == {True, False}  # somewhere it left something: the sweep does strike
    assert _files(case.out) == case.after


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_told_to_end_at_every_call(case: Case, number: signal.Signals) -> None:
    """SIGTERM and Ctrl-C leave nothing behind; the exit code is that of the signal."""
    codes = list[int]()
    for code in _sweep(case, number):
        codes.append(code)
        assert case.left() == set()
    assert codes == [128 + number] * (len(codes) - 1) + [0]
    assert len(codes) > 5
    assert _files(case.out) == case.after


def test_a_half_file_is_seen(tmp_path: Path) -> None:
    """The comparison above tells a file that was cut short, and a leftover."""
    case = Case(tmp_path, "to a new file")
    (case.out / ".onnxstride-0123456789abcdef.tmp").touch()
    os.truncate(case.target, 1000)
    assert case.left() == {"out.onnx", ".onnxstride-0123456789abcdef.tmp"}
    case.model.write_bytes(b"")
    with pytest.raises(AssertionError):
        case.left()
