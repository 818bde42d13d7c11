"""Packages that are put off: nobody can tell, but by what has been imported so far."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PUT_OFF = "from onnxstride.deferred import put_off, put_off_onnx_and_numpy\n"


def says(code: str, folder: Path = ROOT) -> str:
    """What a fresh interpreter prints that runs this code in a folder."""
    run = subprocess.run(
        [sys.executable, "-c", f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{PUT_OFF}{code}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


LOADED = "print('numpy._core' in sys.modules, 'onnx.helper' in sys.modules)"


def test_neither_package_runs_for_its_name_alone() -> None:
    """Importing them, and the parts that do without the rest, imports nothing else."""
    code = """
put_off_onnx_and_numpy()
import numpy, onnx
from onnx.onnx_ml_pb2 import ModelProto
from onnx.onnx_cpp2py_export import shape_inference
ModelProto.FromString(b"")
"""
    assert says(code + LOADED) == "False False"


@pytest.mark.parametrize(
    ("use", "loaded"),
    [
        ("import numpy; numpy.zeros(1)", "True False"),
        ("from numpy import zeros", "True False"),
        ("import numpy.linalg", "True False"),
        ("from numpy.typing import NDArray", "True False"),
        ("import onnx; onnx.ModelProto", "True True"),
        ("import onnx; onnx.helper.make_node('Relu', ['x'], ['y'])", "True True"),
        ("from onnx import numpy_helper", "True True"),
        ("import onnx.helper", "True True"),
        ("from onnx.checker import check_model", "True True"),
        ("import onnx_graphsurgeon", "True True"),
        ("import onnx.reference", "True True"),
    ],
)
def test_any_use_runs_the_package(use: str, loaded: str) -> None:
    """An attribute, a submodule, or another package that uses either."""
    assert says(f"put_off_onnx_and_numpy()\n{use}\n{LOADED}") == loaded


def test_the_package_is_as_it_would_have_been() -> None:
    """The same names, and the parts in them are those that were imported ahead of it."""
    names = "print(sorted(name for name in vars(onnx) if not name.startswith('__')))"
    early = """
put_off_onnx_and_numpy()
from onnx.onnx_ml_pb2 import ModelProto
import onnx
assert onnx.ModelProto is ModelProto is onnx.onnx_ml_pb2.ModelProto
assert onnx.onnx_cpp2py_export is sys.modules["onnx.onnx_cpp2py_export"]
assert isinstance(onnx.__path__, list) and onnx.__file__ and onnx.__spec__.name == "onnx"
assert type(onnx) is type(sys)
onnx.checker.check_model(onnx.parser.parse_model(
    '<ir_version: 8, opset_import: ["" : 13]> g (float[1] x) => (float[1] y) { y = Relu(x) }'
))
"""
    assert says(early + names) == says("import onnx\n" + names)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder with a package that tells when it runs; it has two parts, one that fails."""
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack/__init__.py").write_text("print('ran')\nvalue = 7\n")
    (tmp_path / "pack/part.py").write_text("here = 1\n")
    (tmp_path / "pack/broken.py").write_text("1 / 0\n")
    return tmp_path


HERE = "sys.path.insert(0, '')\n"


def test_a_part_is_there_before_the_package_runs(package: Path) -> None:
    """And it is the same one afterwards."""
    code = "put_off('pack', but=['part'])\nimport pack, pack.part as part\nprint(part.here)\n"
    code += "print(pack.value, pack.part is part)"
    assert says(HERE + code, package).split() == ["1", "ran", "7", "True"]


@pytest.mark.parametrize("part", ["broken", "missing"])
def test_a_part_that_cannot_be_had_runs_the_package(package: Path, part: str) -> None:
    """As a release with other insides would: it is imported as ever, at once."""
    code = f"put_off('pack', but=['part', {part!r}])\nprint('then')\nimport pack\nprint(pack.value)"
    assert says(HERE + code, package).split() == ["ran", "then", "7"]


def test_what_is_imported_or_not_installed_is_left_alone(package: Path) -> None:
    """An imported package stays itself; of one that is missing, importing it says so."""
    code = """
import pack
held = pack
put_off('pack')
put_off('no_such_package')
import pack
print(held is pack)
try:
    import no_such_package
except ModuleNotFoundError:
    print('missing')
"""
    assert says(HERE + code, package).split() == ["ran", "True", "missing"]


def test_a_package_that_fails_fails_each_time(package: Path) -> None:
    """Nothing half-imported is left behind, as Python does it."""
    (package / "pack/__init__.py").write_text("print('ran')\n1 / 0\n")
    code = """
put_off('pack')
for _ in range(2):
    try:
        import pack
        pack.value
    except ZeroDivisionError:
        print('pack' in sys.modules)
"""
    assert says(HERE + code, package).split() == ["ran", "False", "ran", "False"]
