"""Finds the modules that rules and rewrites are: built in, from plugins, in the user's folders.

1. Built in: the modules of a package inside ``onnxstride.rules``. In a checkout that is not
   installed nothing has that name, and the folder ``rules/`` beside onnxstride is given it.
2. Plugins: entry points of other distributions. Each names a module, or a package whose
   modules all count.
3. Folders: every ``*.py`` in a folder the user names.

Whatever cannot be imported is an error: a rule that is missing would pass every model.
"""

import sys
from collections.abc import Iterable, Iterator
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from .errors import RuleError, UsageError
from .plugins import EntryPoint, entry_points

BUILT_IN = "built in"
RULES_PACKAGE = "onnxstride.rules"


class Found(NamedTuple):
    """A module, and where it came from in words."""

    module: ModuleType
    origin: str

    @property
    def where(self) -> str:
        return f"module {self.module.__name__} ({self.origin})"


def built_in(package_name: str) -> Iterator[Found]:
    """The modules of a package that comes with onnxstride.

    Raises:
        RuleError: a module will not import, or there is no such package.
    """
    try:
        import_module(RULES_PACKAGE)
    except ModuleNotFoundError as error:
        if error.name != RULES_PACKAGE:
            raise
        _adopt_checkout()
    for name in _modules_of(import_module(package_name)):
        yield Found(_imported(name, BUILT_IN), BUILT_IN)


def plugins(group: str, *, but: str) -> Iterator[Found]:
    """The modules that entry points of ``group`` name, except those that name ``but``.

    Raises:
        RuleError: a module will not import, or a package holds none.
    """
    for entry in entry_points(group, sys.path):
        if entry.value != but:
            yield from _of_plugin(entry)


def in_folders(folders: Iterable[str]) -> Iterator[Found]:
    """The modules in folders that the user names.

    Raises:
        RuleError: a module will not import.
        UsageError: no such folder, or no module in it.
    """
    resolved = dict.fromkeys(Path(folder).resolve() for folder in folders)
    for number, folder in enumerate(resolved):
        yield from _in_folder(folder, f"_onnxstride_rules_{number}")


def _adopt_checkout() -> None:
    """Import the checkout's ``rules/`` folder under the name it has once installed."""
    folder = Path(__file__).parent.parent / "rules"
    init = folder / "__init__.py"
    spec = spec_from_file_location(RULES_PACKAGE, init, submodule_search_locations=[str(folder)])
    if spec is None or spec.loader is None or not init.exists():
        raise RuleError(f"no built-in rules: neither {RULES_PACKAGE} nor {folder} exists")
    package = module_from_spec(spec)
    sys.modules[RULES_PACKAGE] = package
    spec.loader.exec_module(package)


def _of_plugin(entry: EntryPoint) -> Iterator[Found]:
    origin = f"plugin {entry.distribution}"
    module = _imported(entry.value, origin)
    if not hasattr(module, "__path__"):
        yield Found(module, origin)
        return
    names = _modules_of(module)
    if not names:
        raise RuleError(f"package {entry.value} ({origin}) holds no rule module")
    for name in names:
        yield Found(_imported(name, origin), origin)


def _in_folder(folder: Path, package_name: str) -> Iterator[Found]:
    """The rules of one folder, its files imported as modules of a package made up for it."""
    if not folder.is_dir():
        raise UsageError(f"expected a folder of rules, found none at {folder}")
    for name in [name for name in sys.modules if name.partition(".")[0] == package_name]:
        del sys.modules[name]  # an earlier call may have given another folder this name
    package = ModuleType(package_name, f"The rules in {folder}.")
    package.__path__ = [str(folder)]
    sys.modules[package_name] = package
    names = _modules_of(package)
    if not names:
        raise UsageError(f"expected rule modules (*.py) in {folder}, found none")
    for name in names:
        yield Found(_imported(name, f"folder {folder}"), f"folder {folder}")


def _modules_of(package: ModuleType) -> list[str]:
    """Full names of the modules directly in a package, sorted; ``_private`` ones are left out."""
    from pkgutil import iter_modules

    return sorted(
        f"{package.__name__}.{module.name}"
        for module in iter_modules(package.__path__)
        if not module.ispkg and not module.name.startswith("_")
    )


def _imported(name: str, origin: str) -> ModuleType:
    try:
        return import_module(name)
    except (Exception, SystemExit) as error:  # a module may fail in any way
        raise RuleError(
            f"rule module {name} ({origin}) will not import: {type(error).__name__}: {error}"
        ) from error
