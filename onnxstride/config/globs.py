"""Globs over paths, the same on every system.

========  ======================================================================
``*``     any characters but ``/``
``**``    between slashes any folders, or none; at the end everything below
``?``     one character but ``/``
``[ab]``  one of these, ``[!ab]`` none of them; ``[*]`` is the character itself
========  ======================================================================

A glob without ``/`` is about the name of the file, in whatever folder; one with ``/`` about the
whole path. One that ends in ``/`` means everything below. A match takes time in proportion to both
lengths: a glob may come from a stranger.
"""

import re
from collections.abc import Callable, Sequence
from fnmatch import translate
from functools import lru_cache

_Part = Callable[[str], object] | None
"""Whether one name fits; None for ``**``."""


def matches(path: str, glob: str) -> bool:
    """True where the glob means the path, which is relative and has ``/`` between its parts."""
    if path == glob:
        return True
    if "/" not in glob:
        path = path.rpartition("/")[2]
    return _fits(path.split("/"), _parts(glob))


@lru_cache(maxsize=1024)
def _parts(glob: str) -> tuple[_Part, ...]:
    glob = glob.removeprefix("./")
    if glob.endswith("/"):
        glob += "**"
    parts = glob.split("/")
    return tuple(None if part == "**" else re.compile(translate(part)).match for part in parts)


def _fits(names: Sequence[str], parts: Sequence[_Part]) -> bool:
    """True where ``parts`` can be shared out over all names; keeps every place it may be at."""
    end = len(parts)
    places = _without_folders({0}, parts)
    for name in names:
        following: set[int] = set()
        for place in places - {end}:
            part = parts[place]
            if part is None:
                following |= {place, end} if place == end - 1 else {place}
            elif part(name):
                following.add(place + 1)
        places = _without_folders(following, parts)
    return end in places


def _without_folders(places: set[int], parts: Sequence[_Part]) -> set[int]:
    """The places, and those behind a ``**`` that stands for no folder; the last is for some."""
    found = set(places)
    for place in range(len(parts) - 1):
        if place in found and parts[place] is None:
            found.add(place + 1)
    return found
