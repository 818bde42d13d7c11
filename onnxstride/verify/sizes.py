"""Which sizes to try where a model leaves some open.

What a model accepts is found by trial. A ``Trial`` is an aim with candidates: sizes in the order
in which to try them until one is accepted.

- ``even``: unequal even sizes, a batch of 2; then square ones, and a batch of 1;
- ``odd``: the same with odd sizes and a batch of 1;
- ``minimal``: the smallest of a ladder, which climbs far enough to find a size for models that
  accept one size only (224, 299), or only multiples (32);
- ``size 33``: as asked for, batches of 2 and 1 in turn.

Axes are told apart by place, across all inputs, a symbol by the first: the first axis is the batch
(of images, or of rows), the second of four or more is the channels if nothing behind it is known
either, all others are spatial. Symbols of one name have one size.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from ..errors import UsageError
from .inputs import Input, symbols

Sizes = Mapping[str, int]

_EVEN, _ODD = (64, 48, 32), (33, 47, 21)
_EVEN_SMALL, _ODD_SMALL = (16, 12, 8), (17, 11, 9)
_LADDER = (1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 24, 32, 48, 64, 96, 128, 192, 224, 256, 299, 512)
_CHANNELS = (3, 1)


@dataclass(frozen=True, slots=True)
class Trial:
    """An aim, and the sizes to try for it; the first that is accepted will do."""

    name: str
    candidates: tuple[Sizes, ...]

    def raised(self, least: Sizes) -> "Trial":
        """The same with no size below the least one of its symbol."""
        return Trial(
            self.name,
            tuple(
                {name: max(size, least.get(name, 1)) for name, size in sizes.items()}
                for sizes in self.candidates
            ),
        )


@dataclass(frozen=True, slots=True)
class _Roles:
    """Symbols by what they stand for."""

    batch: tuple[str, ...]
    channels: tuple[str, ...]
    spatial: tuple[str, ...]


def trials(
    inputs: Sequence[Input], wanted: Sequence[int] = (), *, small: bool = False
) -> tuple[Trial, ...]:
    """What to try: one trial without sizes for a model that declares them all.

    Args:
        inputs: of the model.
        wanted: sizes for the spatial axes, instead of even, odd and minimal ones.
        small: try smaller sizes first, as suits single layers and volumes.

    Raises:
        UsageError: sizes are wanted, but no spatial axis is open.
    """
    roles = _roles(inputs)
    if wanted:
        if not roles.spatial:
            raise UsageError("--sizes: no axis of the model's inputs is open besides the first")
        return tuple(_wanted(roles, size, index) for index, size in enumerate(wanted))
    if roles.spatial:
        small = small or len(roles.spatial) > 2
        even = (_EVEN_SMALL, _EVEN) if small else (_EVEN,)
        odd = (_ODD_SMALL, _ODD) if small else (_ODD,)
        batches = (2, 1) if roles.batch else (1,)
        return (
            _apart(roles, "even", even, batches),
            _apart(roles, "odd", odd, (1,)),
            _minimal(roles),
        )
    if roles.batch or roles.channels:
        return tuple(
            Trial(f"batch of {batch}", tuple(_filled(roles, (), batch))) for batch in (2, 1)
        )
    return (Trial("declared", ({},)),)


def floors(inputs: Sequence[Input], smallest: Sequence[int]) -> Sizes:
    """Least sizes by symbol, from those along the spatial axes of inputs with as many of them."""
    least: dict[str, int] = {}
    for item in inputs:
        dims = item.dims or ()
        if smallest and len(dims) == len(smallest) + 2:
            for dim, size in zip(dims[2:], smallest, strict=True):
                if isinstance(dim, str):
                    least[dim] = max(size, least.get(dim, 1))
    return least


def in_words(sizes: Sizes) -> str:
    """``H=33, W=47``; ``the declared sizes`` where nothing was open."""
    return ", ".join(f"{name}={size}" for name, size in sizes.items()) or "the declared sizes"


def _wanted(roles: _Roles, size: int, index: int) -> Trial:
    batches = (2, 1) if index % 2 == 0 and roles.batch else (1, 2) if roles.batch else (1,)
    candidates = [sizes for batch in batches for sizes in _filled(roles, (size,), batch)]
    return Trial(f"size {size}", tuple(candidates))


def _apart(
    roles: _Roles, name: str, ladder: Sequence[Sequence[int]], batches: Sequence[int]
) -> Trial:
    """Sizes that differ from axis to axis; equal ones for models that want that."""
    is_one = len(roles.spatial) == 1
    shapes = [
        shape for sizes in ladder for shape in ([sizes[:1]] if is_one else [sizes, sizes[:1]])
    ]
    found = [
        sizes for shape, batch in product(shapes, batches) for sizes in _filled(roles, shape, batch)
    ]
    return Trial(name, tuple(found))


def _minimal(roles: _Roles) -> Trial:
    found = [sizes for size in _LADDER for sizes in _filled(roles, (size,), 1)]
    return Trial("minimal", tuple(found))


def _filled(roles: _Roles, spatial: Sequence[int], batch: int) -> Iterator[Sizes]:
    """Sizes for every symbol; the spatial ones take turns with what is given."""
    for channels in _CHANNELS if roles.channels else (1,):
        sizes = dict.fromkeys(roles.batch, batch) | dict.fromkeys(roles.channels, channels)
        for index, name in enumerate(roles.spatial):
            sizes[name] = spatial[index % len(spatial)]
        yield sizes


def _roles(inputs: Sequence[Input]) -> _Roles:
    roles: dict[str, str] = {}
    for item in inputs:
        dims = item.dims or ()
        for axis, dim in enumerate(dims):
            if isinstance(dim, str):
                roles.setdefault(dim, _role(axis, dims))
    named = {role: [name for name in symbols(inputs) if roles[name] == role] for role in _NAMES}
    return _Roles(*(tuple(named[role]) for role in _NAMES))


_NAMES = ("batch", "channels", "spatial")


def _role(axis: int, dims: Sequence[int | str]) -> str:
    if axis == 0:
        return "batch"
    is_open_behind = all(isinstance(dim, str) for dim in dims[2:])
    return "channels" if axis == 1 and len(dims) >= 4 and is_open_behind else "spatial"
