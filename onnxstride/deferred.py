"""Packages that are slow to import, put off until something of them is used.

Three quarters of what it takes to start linting is ``import onnx``, which brings numpy and 150
more modules. A small model needs neither as a whole: two modules of onnx hold the classes of the
proto and the shape inference, and import nothing of the package around them. So for the process
of a lint a stand-in takes the package's name, with those parts in it. Whatever else is asked of
it, a submodule included, makes it the package itself: whoever imports that cannot tell, but by
the time it takes. It is nothing for programs that import in several threads at once.

``importlib.util.LazyLoader`` does the same, but keeps no parts.
"""

import sys
from collections.abc import Iterable
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

_ONNX_PARTS = ("onnx_ml_pb2", "onnx_cpp2py_export")


def put_off_onnx_and_numpy() -> None:
    """Has importing either cost little until more is used of it than reading a graph takes."""
    put_off("numpy")
    put_off("onnx", but=_ONNX_PARTS)


def put_off(name: str, *, but: Iterable[str] = ()) -> None:
    """Has ``import name`` run nothing until something of the package is used.

    Does nothing where the package is imported already, or not installed.

    Args:
        name: of a package at the top level.
        but: submodules that import nothing of the package, to be imported now and without it.
            If one cannot be, the package is imported as ever.
    """
    spec = None if name in sys.modules else find_spec(name)
    if spec is None or spec.loader is None:
        return
    package = _StandIn(name)
    package.__spec__ = spec
    package.__file__ = spec.origin
    package.__package__ = name
    sys.modules[name] = package
    try:
        for part in but:
            setattr(package, part, _part(f"{name}.{part}", spec))
    except Exception:  # noqa: BLE001 - a release with other insides; the package knows its own
        package.run()


class _StandIn(ModuleType):
    """A package that has not run."""

    def __getattr__(self, name: str) -> Any:
        """What is not set yet, ``__path__`` among it, which importing a submodule asks for."""
        self.run()
        return getattr(self, name)

    def run(self) -> None:
        """Become the package."""
        spec = self.__spec__
        assert spec is not None
        assert spec.loader is not None
        self.__class__ = ModuleType  # type: ignore[assignment]  # which is how a module changes
        self.__loader__ = spec.loader
        self.__path__ = list(spec.submodule_search_locations or ())
        try:
            spec.loader.exec_module(self)
        except BaseException:
            sys.modules.pop(self.__name__, None)  # as for any module that fails
            raise


def _part(name: str, package: ModuleSpec) -> ModuleType:
    """The submodule ``name``, imported without the package that has this spec."""
    finders = (each.find_spec(name, package.submodule_search_locations) for each in sys.meta_path)
    spec = next((found for found in finders if found is not None), None)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(name)
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
