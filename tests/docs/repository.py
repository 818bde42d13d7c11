"""A repository of models as a user has it: files with weights, a configuration, what is let pass.

========================  ==========================================================
models/lenet5.onnx        clean
models/resnet50.onnx      warnings; its shortcuts are ignored node by node
models/fsrcnn.onnx        an error, by a level of the configuration, and a wish in it
models/googlenet.onnx     notes alone
models/masks/unet.onnx    notes, under a configuration of its own folder
========================  ==========================================================
"""

import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from onnxstride.modelfile import parse_text
from onnxstride.verify import complete
from tests.planting import write_files

from .blocks import ROOT
from .reading import Counts
from .session import Session

MODELS = {
    "models/lenet5.onnx": "lenet5",
    "models/resnet50.onnx": "resnet50_v1",
    "models/fsrcnn.onnx": "fsrcnn",
    "models/googlenet.onnx": "googlenet",
    "models/masks/unet.onnx": "unet_deconv",
}
CONFIGURATION = """\
select = ["UP", "DN202", "DN203", "BD", "SZ"]
ignore = ["UP104"]
fail-on = "warning"

[severity]
UP101 = "error"

[[inputs]]
files = "fsrcnn.onnx"
dims = { H = 64, W = 64 }

[per-file-ignores]
"models/resnet*.onnx" = ["DN203"]

[[per-node-ignores]]
files = "models/resnet50.onnx"
nodes = "*/shortcut"
codes = ["DN202"]
reason = "a shortcut may skip"
"""
OF_MASKS = """\
select = ["UP", "DN201", "SZ"]

[[inputs]]
files = "unet.onnx"
dims = { H = 224, W = 224 }
"""
BASELINE = "known.json"

# What models/README.md says of these models, less what the configurations let pass.
FOUND: Counts = Counter(
    {
        ("models/resnet50.onnx", "DN202", "warning"): 3,
        ("models/fsrcnn.onnx", "UP101", "error"): 1,
        ("models/googlenet.onnx", "BD301", "note"): 4,
        ("models/masks/unet.onnx", "DN201", "note"): 4,
        ("models/masks/unet.onnx", "UP103", "note"): 4,
    }
)
# The same of what is let pass, by what lets it.
IGNORED = Counter(
    {
        ("models/resnet50.onnx", "DN202", "config"): 3,
        ("models/resnet50.onnx", "DN203", "config"): 6,
        ("models/fsrcnn.onnx", "UP103", "model"): 1,
    }
)


def put_model(path: Path, name: str) -> None:
    """Write the model of models/ that has this name, with its weights in the file."""
    text = (ROOT / "models" / f"{name}.onnxtxt").read_text(encoding="utf-8")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(complete(parse_text(text, name)))


def found(session: Session) -> None:
    """Make the repository in the session's folder, as it is before anybody has a baseline."""
    if git := shutil.which("git"):
        subprocess.run([git, "init", "--quiet", str(session.folder)], check=True)
    for path, name in MODELS.items():
        put_model(session.folder / path, name)
    configurations = {
        "onnxstride.toml": CONFIGURATION,
        "models/masks/onnxstride.toml": OF_MASKS,
    }
    write_files(session.folder, configurations)
    wish = "--node enlarged --code UP103 --reason 'trained against it' --in-place"
    ran = session.run(f"onnxstride ignore models/fsrcnn.onnx {wish}")
    assert ran.code == 0, ran.printed


def adopted(session: Session) -> None:
    """Make the repository, record what is found, and have both configurations name the record."""
    found(session)
    ran = session.run(f"onnxstride lint models --write-baseline {BASELINE}")
    assert ran.code == 0, ran.printed
    for folder, name in ((".", BASELINE), ("models/masks", f"../../{BASELINE}")):
        path = session.folder / folder / "onnxstride.toml"
        text = path.read_text(encoding="utf-8")
        path.write_text(f'baseline = "{name}"\n{text}', encoding="utf-8")


def unreadable(session: Session) -> None:
    """Make the adopted repository, with a model in it that nobody can read."""
    adopted(session)
    leave_pointer(session)


def leave_pointer(session: Session) -> None:
    """Leave what Git LFS does in place of a model that was not pulled."""
    pointer = {"models/pointer.onnx": "version https://git-lfs.github.com/spec/v1\n"}
    write_files(session.folder, pointer)


class State(NamedTuple):
    """What makes the repository, and the exit code that docs/ci.md gives a gate on it."""

    make: Callable[[Session], None]
    code: int


STATES = {
    "adopted": State(adopted, 0),
    "found": State(found, 1),
    "unreadable": State(unreadable, 2),
}
