"""Sizes on the command line: ``NAME:1,3,224,224`` for an input, ``H=224`` for a symbol."""

from collections.abc import Iterable, Sequence

from ..errors import UsageError
from ..graph import Bindings
from ..nearest import did_you_mean
from .results import FileReport

_LARGEST = 2**63 - 1  # dimensions are int64 in a model


def parse_bindings(input_shapes: Iterable[str], dims: Iterable[str]) -> Bindings:
    """The bindings that the values of ``--input-shape`` and ``--dim`` spell.

    Names may hold the separator themselves, as TensorFlow's ``image:0`` does: the last one counts.

    Raises:
        UsageError: a value of another form, or one name with two sizes.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    sizes: dict[str, int] = {}
    for text in input_shapes:
        name, separator, sizes_text = text.rpartition(":")
        shape = tuple(_size(part) for part in sizes_text.split(","))
        if not (name and separator) or 0 in shape:
            raise UsageError(f"expected --input-shape NAME:1,3,224,224, found {text!r}")
        if shapes.setdefault(name, shape) != shape:
            raise UsageError(f"--input-shape gives {name!r} two shapes; give it one")
    for text in dims:
        name, separator, size_text = text.rpartition("=")
        size = _size(size_text)
        if not (name and separator and size):
            raise UsageError(f"expected --dim NAME=224, found {text!r}")
        if sizes.setdefault(name, size) != size:
            raise UsageError(f"--dim gives {name!r} two sizes; give it one")
    return Bindings(shapes, sizes)


def refuse_unknown(bindings: Bindings, reports: Sequence[FileReport]) -> None:
    """Raise UsageError for a binding that no model has; nothing to say if none could be read."""
    bindable = frozenset[str]().union(*(report.bindable for report in reports))
    used = frozenset[str]().union(*(report.used_bindings for report in reports))
    if not bindable:
        return
    for name in sorted(bindings.names() - used):
        raise UsageError(
            f"no model has an input or symbol named {name!r}{did_you_mean(name, sorted(bindable))}"
        )


def _size(text: str) -> int:
    """The positive int64 that ``text`` spells; 0 when it spells none."""
    text = text.strip()
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(_LARGEST)):
        return 0
    size = int(text)
    return size if size <= _LARGEST else 0
