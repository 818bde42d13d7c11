"""What a graph is drawn with: its nodes and tensors as they are added, and its map so far."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Array = NDArray[Any]


class Map(NamedTuple):
    """A feature map as the builder believes it to be; ``sizes`` one entry per spatial axis."""

    name: str
    channels: int
    sizes: tuple[int, ...]

    @property
    def rank(self) -> int:
        return len(self.sizes)


Layer: TypeAlias = "Callable[[Builder, Map], Map]"


class Builder:
    """Nodes and tensors of a graph as they are added."""

    def __init__(self, random: Random, opset: int, kind: int) -> None:
        self.random = random
        self.opset = opset
        self.kind = kind
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.functions: list[onnx.FunctionProto] = []
        self.in_function = False
        self._count = 0

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(helper.tensor_dtype_to_np_dtype(self.kind))

    def name(self, stem: str) -> str:
        self._count += 1
        return f"{stem}{self._count}"

    def add(
        self, op_type: str, inputs: Sequence[str], outputs: int = 1, domain: str = "", **given: Any
    ) -> str:
        """The first output of a new node; attributes that are None are left out."""
        attributes = {key: value for key, value in given.items() if value is not None}
        names = [self.name(op_type.lower()) for _ in range(outputs)]
        label = names[0] if self.random.random() < 0.8 else ""
        node = helper.make_node(op_type, inputs, names, label, domain=domain, **attributes)
        self.nodes.append(node)
        return names[0]

    def constant(self, array: Array, stem: str = "w") -> str:
        """A tensor with these values: an initializer, or what a Constant makes."""
        name = self.name(stem)
        tensor = numpy_helper.from_array(array, name)
        if self.in_function or self.random.random() < 0.15:
            self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        else:
            self.weights.append(tensor)
        return name

    def numbers(self, *shape: int) -> str:
        """A weight of whole numbers."""
        generator = np.random.default_rng(self.random.getrandbits(32))
        return self.constant(generator.integers(-2, 3, shape).astype(self.dtype))

    def integers(self, values: Sequence[int]) -> str:
        return self.constant(np.array(values, np.int64), "i")

    def one_in(self, chances: int) -> bool:
        return self.random.randrange(chances) == 0
