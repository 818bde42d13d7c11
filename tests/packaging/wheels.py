"""Distributions written, built and installed as their authors and users do it, without a network.

A builder that comes with the distribution stands in for setuptools, which the tests do not ask
for: ``build`` calls it as it calls any other, and ``pip`` checks and installs what it makes.
"""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.planting import write_files

_PROJECT = """
[build-system]
requires = []
build-backend = "builder"
backend-path = ["."]

[project]
name = "{name}"
version = "1.0"
"""

_BUILDER = '''
"""Puts the packages beside it into a wheel."""

import tomllib
from pathlib import Path
from zipfile import ZipFile


def build_wheel(folder, settings=None, metadata=None):
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    stem = f"{project['name'].replace('-', '_')}-{project['version']}"
    info = f"{stem}.dist-info"
    files = {path.as_posix(): path.read_text() for path in sorted(Path().glob("*/*.py"))}
    files[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.1\\nName: {project['name']}\\nVersion: {project['version']}\\n"
    )
    files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    files[f"{info}/entry_points.txt"] = "\\n".join(
        line
        for group, points in project.get("entry-points", {}).items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in points.items()), "")
    )
    files[f"{info}/RECORD"] = "".join(f"{name},,\\n" for name in [*files, f"{info}/RECORD"])
    with ZipFile(Path(folder) / f"{stem}-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return f"{stem}-py3-none-any.whl"
'''


def installed(folder: Path, name: str, files: Mapping[str, str], groups: Mapping[str, str]) -> Path:
    """A folder for the search path, into which a wheel of these packages was installed.

    Args:
        folder: where the source, the wheel and the installation come to lie.
        name: of the distribution.
        files: text by path, ``package/module.py``.
        groups: what the entry point of each group names.
    """
    project = _PROJECT.format(name=name)
    for group, value in groups.items():
        project += f'\n[project.entry-points."{group}"]\nplanted = "{value}"\n'
    source = write_files(
        folder / "source", {"pyproject.toml": project, "builder.py": _BUILDER, **files}
    )
    _run("build", "--wheel", "--no-isolation", "--outdir", str(folder / "dist"), str(source))
    (wheel,) = (folder / "dist").glob("*.whl")
    target = folder / "site"
    options = ["--no-deps", "--no-index", "--no-compile", "--disable-pip-version-check", "--quiet"]
    _run("pip", "install", *options, "--target", str(target), str(wheel))
    return target


def _run(*arguments: str) -> None:
    command = [sys.executable, "-m", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
