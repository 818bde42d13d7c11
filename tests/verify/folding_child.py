"""A child whose runtime folds a zero Pad into the MaxPool behind it at the default level."""

import sys
from pathlib import Path
from typing import Any

import onnx

from onnxstride.verify import child

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.folding import folded


class Folding(child.Sessions):
    """Sessions of an ONNX Runtime that has the fault, whatever version there is."""

    def _load(self, head: dict[str, Any], arrays: Any) -> Any:
        if head["level"] == "ORT_ENABLE_ALL":
            data = bytes(arrays[0].data) if arrays else Path(head["path"]).read_bytes()
            model = folded(onnx.ModelProto.FromString(data)).SerializeToString()
            arrays = [child.Packed("", "", (), memoryview(model))]
        return super()._load(head, arrays)


if __name__ == "__main__":
    child.Sessions = Folding  # type: ignore[misc]
    child.main()
