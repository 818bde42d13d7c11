"""What identifies a finding from one run to the next, so that viewers can tell new from known.

It follows from the rule, the name of the file without its folders, the scope and the name of the
node: it stays when the model is exported anew under the same names, and when files move. It does
not follow from the message, whose figures change, nor from the order of nodes. Equal ones within a
run (two files of one name in two folders) are told apart by counting, in the order of the report.
"""

import hashlib
from collections import Counter
from pathlib import PurePath

from ..rule import NodeRef

_VERSION = "1"
_DIGITS = 32


class Fingerprints:
    """Gives each finding of one run its own fingerprint."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def of(self, path: str, code: str, node: NodeRef | None) -> str:
        """32 hexadecimal digits; ``node`` is None for what concerns the file as a whole."""
        key = _key(path, code, node)
        self._seen[key] += 1
        text = f"{key}\0{self._seen[key]}"
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]


def _key(path: str, code: str, node: NodeRef | None) -> str:
    # Windows separators count on every system, so that both spellings of a path are one.
    name = PurePath(path.replace("\\", "/")).name
    where = () if node is None else (*node.scope, node.name)
    return "\0".join((_VERSION, code, name, *where))
