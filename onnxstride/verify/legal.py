"""Sizes at which a model means something.

A window that is longer than the padded map it slides over has no place, so there is no output.
ONNX Runtime refuses such a Conv. Its pools divide towards zero instead and make one window when
the map is short by less than the stride, or give an empty output: at such sizes a model has no
meaning that another could keep. Comparing there would tell a MaxPool from a Conv that computes the
same at every size that has a meaning.
"""

from collections.abc import Sequence

from ..errors import OnnxstrideError
from ..geometry import output_size
from ..graph import Bindings, read_graph
from ..graph.layers import Pool
from ..modelfile import ModelFile
from .inputs import Input, shape_of
from .loading import nodes
from .sizes import Sizes, in_words

_POOLS = frozenset({"AveragePool", "LpPool", "MaxPool"})


class Legality:
    """Tells at which sizes every pool of one model has a window."""

    def __init__(self, model: ModelFile, inputs: Sequence[Input]) -> None:
        self._model = model
        self._inputs = inputs
        self._has_pools = any(_is_pool(node.op_type) for node in nodes(model.proto))

    def fault(self, sizes: Sizes) -> str | None:
        """Which pool has no window at these sizes; None where all have one, or none can tell."""
        if not sizes or not self._has_pools:
            return None
        shapes = {item.name: shape_of(item, sizes) for item in self._inputs if item.dims}
        try:
            graph = read_graph(self._model, Bindings(shapes=shapes))
        except OnnxstrideError:
            return None
        for layer in graph.layers:
            if isinstance(layer, Pool) and _has_no_window(layer):
                return f"{in_words(sizes)} (no window of {layer.op} {layer.ref.name!r} fits)"
        return None


def _is_pool(op_type: str) -> bool:
    """True for the pools, and for their quantised and channels-last spellings."""
    return any(op_type.endswith(name) for name in _POOLS)


def _has_no_window(pool: Pool) -> bool:
    return any(
        size is not None and output_size(size, axis, ceil_mode=pool.ceil_mode) < 1
        for size, axis in zip(pool.sizes, pool.axes, strict=True)
    )
