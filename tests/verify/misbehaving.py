"""A child that does what the names of a model's outputs tell it to, run by path as ``child`` is."""

import os
import signal
import sys
import time
from typing import Any

from onnxstride.verify import child


class Misbehaving(child.Sessions):
    """Sessions that crash, hang or leave when the model asks for it."""

    def answer(self, head: dict[str, Any], arrays: Any) -> Any:
        if head["do"] == "run":
            for name in head["outputs"] or ():
                self._misbehave(name)
        return super().answer(head, arrays)

    def _misbehave(self, name: str) -> None:
        if name.startswith("SIG"):
            sys.stderr.write("what it said last\n")
            sys.stderr.flush()
            os.kill(os.getpid(), signal.Signals[name])
        elif name == "exit":
            os._exit(7)
        elif name == "hang":
            time.sleep(60)
        elif name == "chatter":
            sys.stdout.write("chatter\n" * 1000)
            sys.stdout.flush()
            os.write(1, b"more chatter\n" * 1000)


if __name__ == "__main__":
    child.Sessions = Misbehaving  # type: ignore[misc]
    child.main()
