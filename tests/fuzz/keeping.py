"""What a long run keeps: one folder for each kind of fault, with the smallest input that shows it.

Faults are of one kind when they end at the same line of the product, or read alike but for the
names and figures in them.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

_PRODUCT = re.compile(r'File ".*?((?:onnxstride|rules)/[^"]*", line \d+)')
_VARYING = re.compile(r"0x[0-9a-f]+|'[^']*'|[-\d.]+")
_MODEL, _WHAT, _COUNTS = "model.onnx", "what.txt", "counts.json"


class Keeper:
    """A folder of faults, and the counts of what was tried."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._current = folder / "current.onnx"
        self._number = folder / "number.txt"
        self.counts = Counter[str]()
        if (folder / _COUNTS).exists():
            self.counts.update(json.loads((folder / _COUNTS).read_text(encoding="utf-8")))

    @property
    def next_number(self) -> int:
        """Number of the first input that has not been begun."""
        return int(self._number.read_text("ascii")) + 1 if self._number.exists() else 0

    def begin(self, number: int, data: bytes) -> None:
        """Note what is tried next, for whoever finds the process dead."""
        self._current.write_bytes(data)
        self._number.write_text(str(number), encoding="ascii")

    def end(self, faults: Iterable[str]) -> list[str]:
        """Keep the input that was begun last if it has faults; those of a new kind come back."""
        data = self._current.read_bytes()
        found = [fault for fault in faults if self._keep(data, fault)]
        (self._folder / _COUNTS).write_text(json.dumps(self.counts), encoding="utf-8")
        return found

    def _keep(self, data: bytes, fault: str) -> bool:
        place = self._folder / sha256(kind_of(fault).encode()).hexdigest()[:12]
        is_new = not place.exists()
        place.mkdir(exist_ok=True)
        if is_new or len(data) < (place / _MODEL).stat().st_size:
            (place / _MODEL).write_bytes(data)
            (place / _WHAT).write_text(f"{self._number.read_text()}\n{fault}\n", encoding="utf-8")
        return is_new


def kind_of(fault: str) -> str:
    """What faults of one kind have in common."""
    lines = _PRODUCT.findall(fault)
    if lines:
        return f"{lines[-1]} {fault.strip().splitlines()[-1].partition(':')[0]}"
    return _VARYING.sub("", fault.splitlines()[0])
