"""External data that leads elsewhere, through every command: nothing outside is read or copied."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from onnx import TensorProto, helper

from onnxstride.cli import main
from tests.modelfile.building import opened_files

_SECRET = bytes(576)  # as many bytes as the weight asks for


def _model(folder: Path, **entries: str) -> Path:
    """A model with a finding, whose weight is where the entries say."""
    weight = TensorProto(name="w", data_type=1, dims=[4, 4, 3, 3])
    weight.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        weight.external_data.add(key=key, value=value)
    node = helper.make_node(
        "Conv", ["x", "w"], ["y"], "conv", auto_pad="SAME_UPPER", strides=[2, 2]
    )
    shapes = [1, 4, 9, 9], [1, 4, 5, 5]
    given, made = (
        helper.make_tensor_value_info(n, 1, s) for n, s in zip("xy", shapes, strict=True)
    )
    graph = helper.make_graph([node], "g", [given], [made], [weight])
    opsets = [helper.make_opsetid("", 17)]
    path = folder / "m.onnx"
    path.write_bytes(
        helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    )
    return path


def _nothing(folder: Path) -> None:
    """The location alone is the attack."""


def _symlink(folder: Path) -> None:
    (folder / "w.bin").symlink_to("../secret.bin")


def _folder_symlink(folder: Path) -> None:
    (folder / "sub").symlink_to("..")


def _hard_link(folder: Path) -> None:
    (folder / "w.bin").hardlink_to(folder.parent / "secret.bin")


def _fifo(folder: Path) -> None:
    os.mkfifo(folder / "w.bin")


def _device(folder: Path) -> None:
    (folder / "w.bin").symlink_to("/dev/zero")


def _short(folder: Path) -> None:
    (folder / "w.bin").write_bytes(bytes(575))


def _whole(folder: Path) -> None:
    (folder / "w.bin").write_bytes(_SECRET)


ATTACKS: dict[str, tuple[Callable[[Path], None], dict[str, str]]] = {
    "parent": (_nothing, {"location": "../secret.bin"}),
    "absolute": (_nothing, {"location": "{outside}/secret.bin"}),
    "URL": (_nothing, {"location": "file://{outside}/secret.bin"}),
    "drive": (_nothing, {"location": "C:\\secret.bin"}),
    "share": (_nothing, {"location": "\\\\server\\share\\secret.bin"}),
    "device by name": (_nothing, {"location": "NUL"}),
    "backslashes": (_nothing, {"location": "..\\secret.bin"}),
    "zero byte": (_whole, {"location": "w.bin\0"}),
    "nothing": (_whole, {"location": ""}),
    "the model itself": (_nothing, {"location": "m.onnx"}),
    "symbolic link": (_symlink, {"location": "w.bin"}),
    "link to a folder": (_folder_symlink, {"location": "sub/secret.bin"}),
    "hard link": (_hard_link, {"location": "w.bin"}),
    "FIFO": (_fifo, {"location": "w.bin"}),
    "device": (_device, {"location": "w.bin"}),
    "too short": (_short, {"location": "w.bin"}),
    "offset past the end": (_whole, {"location": "w.bin", "offset": "1"}),
    "offset that overflows": (_whole, {"location": "w.bin", "offset": str(2**63 - 8)}),
    "negative offset": (_whole, {"location": "w.bin", "offset": "-576"}),
    "length that overflows": (_whole, {"location": "w.bin", "length": str(2**64 + 576)}),
    "no number": (_whole, {"location": "w.bin", "length": "576 "}),
}
WITHIN = {
    *("nothing", "the model itself", "too short", "no number"),
    *("offset past the end", "offset that overflows", "negative offset", "length that overflows"),
}
"""Attacks that stay in the folder: copied as they are, whole files, if nobody asks to verify."""

COMMANDS = {
    "lint": ["lint", "{model}", "--select", "ALL"],
    "rewrite": ["rewrite", "{model}", "-o", "{beside}"],
    "rewrite and copy": [
        *("rewrite", "{model}", "-o", "{elsewhere}", "--external-data", "copy", "--no-verify"),
    ],
    "verify": ["verify", "{model}", "{model}"],
    "annotate": ["annotate", "{model}", "-o", "{beside}"],
    "report": ["report", "{model}", "--html", "{page}"],
}


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


REFUSED = [
    pytest.param(*ATTACKS[name], COMMANDS[command], id=f"{command}: {name}")
    for name in ATTACKS
    for command in COMMANDS
    if name not in WITHIN or command != "rewrite and copy"
]


@pytest.mark.parametrize(("plant", "entries", "arguments"), REFUSED)
def test_nothing_outside_is_touched(
    tmp_path: Path,
    plant: Callable[[Path], None],
    entries: dict[str, str],
    arguments: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit code 2, one error that names the weight; no output, and no look at what is outside."""
    (tmp_path / "secret.bin").write_bytes(_SECRET)
    (tmp_path / "model").mkdir()
    (tmp_path / "out").mkdir()
    plant(tmp_path / "model")
    location = entries["location"].format(outside=tmp_path)
    model = _model(tmp_path / "model", **entries | {"location": location})
    before = _files(tmp_path)
    places = {
        "model": model,
        "beside": tmp_path / "model/out.onnx",
        "elsewhere": tmp_path / "out/out.onnx",
        "page": tmp_path / "out/page.html",
    }
    with opened_files() as opened:
        code = main([each.format_map(places) for each in arguments])
    out, err = capsys.readouterr()
    assert code == 2
    assert "tensor 'w'" in out + err or "external data" in out + err
    assert "internal error" not in out + err
    assert _files(tmp_path) - before <= {"out/page.html"}
    assert [name for name in opened if name.endswith(("secret.bin", "w.bin", "zero"))] == []


@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)
def test_data_in_its_place_is_read(tmp_path: Path, arguments: list[str]) -> None:
    """The same commands succeed on a weight that is where it may be: two share its bytes."""
    (tmp_path / "model").mkdir()
    (tmp_path / "out").mkdir()
    _whole(tmp_path / "model")
    model = _model(tmp_path / "model", location="w.bin", offset="0", length="576")
    places = {
        "model": model,
        "beside": tmp_path / "model/out.onnx",
        "elsewhere": tmp_path / "out/out.onnx",
        "page": tmp_path / "out/page.html",
    }
    assert main([each.format_map(places) for each in arguments]) in (0, 1)
