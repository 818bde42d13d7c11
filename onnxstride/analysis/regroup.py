"""Which dimensions a reshape merges, splits and leaves, as far as sizes prove it.

A reshape keeps the elements in order. Read from the front, the dimensions before and after it
match up wherever their products agree; and so from the back. A dimension that holds nothing of
an image may be split anywhere, and so may one of an image that nothing has looked at yet: its
parts are dimensions of a new image. An axis that something has looked at may not, for its parts
are no axes any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..geometry.fields import Unknown
from ..graph.scope import Dim
from .cells import Cell, Folded, is_open
from .moves import Refold

HIDDEN = Unknown("it cuts up axes, or merges them, by sizes that are unknown")
"""What is known of a dimension that cannot be matched."""


class Atom(NamedTuple):
    """A dimension before the reshape."""

    size: Dim
    cell: Cell


def refolded(
    cells: Sequence[Cell], shape: Sequence[Dim], refold: Refold
) -> tuple[Cell, ...] | None:
    """What is known along each dimension after a reshape; None when not even the rank is.

    ``shape`` is that of the map before. Symbols are sizes: the same symbol, the same size.
    """
    if refold.groups is not None:
        return tuple(_folded([Atom(shape[i], cells[i]) for i in group]) for group in refold.groups)
    if refold.shape is None:
        return None
    after = list(refold.shape)
    atoms: list[Atom] = []
    for dim, (size, cell) in enumerate(zip(shape, cells, strict=True)):
        if dim in refold.kept and dim < len(after):
            after[dim] = size or f"\0kept {dim}"
            atoms.append(Atom(after[dim], cell))
        else:
            atoms += _unfolded(size, cell)
    groups = _Matching(atoms, after).groups
    return tuple(HIDDEN if group is None else _folded(group) for group in groups)


def layout(cells: Iterable[Cell]) -> list[Cell]:
    """Cells in the order of the elements, those that hold nothing of an image run together."""
    run: list[Cell] = []
    for cell in cells:
        for _, part in _unfolded(None, cell):
            if part is not None or not run or run[-1] is not None:
                run.append(part)
    return run


def _unfolded(size: Dim, cell: Cell) -> list[Atom]:
    if isinstance(cell, Folded):
        return [Atom(each, part) for each, part in cell.parts]
    return [Atom(size, cell)]


def _folded(atoms: Sequence[Atom]) -> Cell:
    """Dimensions merged into one."""
    parts = [part for size, cell in atoms for part in _unfolded(size, cell)]
    if all(part.cell is None for part in parts):
        return None
    return parts[0].cell if len(parts) == 1 else Folded(tuple(parts))


class _Matching:
    """The match of the dimensions of a map with those of a shape.

    ``groups`` has for each new dimension the atoms it is made of, in order; None where that is
    not known.
    """

    def __init__(self, atoms: Iterable[Atom], shape: Sequence[Dim]) -> None:
        self._atoms = [atom for atom in atoms if atom.size != 1]
        self.groups: list[list[Atom] | None] = [None] * len(shape)
        left = list(range(len(shape)))
        left = self._match(left, shape, front=True)
        left = self._match(left, shape, front=False)
        self._settle(left)

    def _match(self, left: list[int], shape: Sequence[Dim], *, front: bool) -> list[int]:
        """Match from one end as far as sizes allow; what is left over."""
        while left:
            place = left[0 if front else -1]
            group = [] if shape[place] == 1 else self._taken(shape[place], front=front)
            if group is None:
                break
            self.groups[place] = group
            left = left[1:] if front else left[:-1]
        return left

    def _taken(self, size: Dim, *, front: bool) -> list[Atom] | None:
        """Take the atoms at one end whose product is ``size``; None, and none, if not shown."""
        atoms = self._atoms if front else self._atoms[::-1]
        if not isinstance(size, int):
            same = size is not None and bool(atoms) and atoms[0].size == size
            return self._take(atoms[:1], 1, [], front=front) if same else None
        if size < 1:
            return None  # no shape of anything
        product, count = 1, 0
        while product < size and count < len(atoms):
            each = atoms[count].size
            if not isinstance(each, int):
                return None
            product, count = product * each, count + 1
        if product < size:
            return None
        taken, rest = atoms[:count], list[Atom]()
        if product > size:
            halves = _halves(taken[-1], size, product)
            if halves is None:
                return None
            taken[-1], rest = halves[0], [halves[1]]
        return self._take(taken, count, rest, front=front)

    def _take(self, taken: list[Atom], count: int, rest: list[Atom], *, front: bool) -> list[Atom]:
        if front:
            self._atoms = rest + self._atoms[count:]
            return taken
        self._atoms = self._atoms[: len(self._atoms) - count] + rest
        return taken[::-1]

    def _settle(self, left: list[int]) -> None:
        """One dimension left over is made of all atoms left over."""
        if len(left) == 1:
            self.groups[left[0]] = self._atoms
        elif all(is_open(atom.cell) for atom in self._atoms):
            for place in left:
                self.groups[place] = []


def _halves(atom: Atom, size: int, product: int) -> tuple[Atom, Atom] | None:
    """An atom split so that ``product`` becomes ``size``: the part taken, and the rest."""
    assert isinstance(atom.size, int)
    before = product // atom.size
    if size % before or atom.size % (size // before) or not is_open(atom.cell):
        return None
    part = size // before
    return Atom(part, None), Atom(atom.size // part, None)
