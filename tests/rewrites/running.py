"""Models rewritten by name, made whole, and run by ONNX Runtime."""

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from onnxstride.engine.activations import Activations
from onnxstride.engine.changes import Plan, Rewritten
from onnxstride.engine.rewriting import rewrite_model
from onnxstride.errors import Refused
from onnxstride.modelfile import ModelFile
from onnxstride.registry import find_rewrite, load_rewrites
from onnxstride.rewrite import Options
from onnxstride.rule import Safety
from onnxstride.verify import Feeds, Level, Loadable, Runner
from tests.modelfile.building import tensors_of

Array = NDArray[Any]

REWRITES = load_rewrites()
LEVELS = ("DISABLE_ALL", "ENABLE_BASIC", "ENABLE_EXTENDED", "ENABLE_ALL")

_runtime: Any = import_module("onnxruntime")  # it ships no types


def rewritten(
    model: ModelFile | onnx.ModelProto, *names: str, nodes: str = "*", **options: Any
) -> Rewritten:
    """The model after these rewrites, applied to every node they fit."""
    opened = model if isinstance(model, ModelFile) else ModelFile.from_proto(model)
    chosen = [find_rewrite(REWRITES, name) for name in names]
    plan = Plan(
        chosen,
        named=True,
        allow=Safety.TRAINING,
        nodes=nodes,
        options=Options(**options),
        made_up=made_up(opened),
    )
    return rewrite_model(opened, plan)


def made_up(model: ModelFile) -> Activations:
    """A tap that makes up inputs for the model."""
    return Activations(model, None, InProcess())


def whole(model: ModelFile) -> onnx.ModelProto:
    """A copy of the model with every tensor's values in it."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    for tensor in tensors_of(proto):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            tensor.CopyFrom(numpy_helper.from_array(model.tensor(tensor), tensor.name))
    return proto


class Session:
    """A model in ONNX Runtime, on one thread and without a word on standard error."""

    def __init__(self, proto: onnx.ModelProto, level: str = "DISABLE_ALL") -> None:
        options = _runtime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        levels = _runtime.GraphOptimizationLevel
        options.graph_optimization_level = getattr(levels, f"ORT_{level}")
        self._session = _runtime.InferenceSession(
            proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    @property
    def outputs(self) -> list[str]:
        """Names of the outputs, in order."""
        return [each.name for each in self._session.get_outputs()]

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """Every output, in order."""
        outputs: list[Array] = self._session.run(None, dict(feeds))
        return outputs


class InProcess(Runner):
    """Runs models in this process, which costs a test no time to start another."""

    def __init__(self) -> None:
        super().__init__()
        self._sessions: dict[Loadable, Session] = {}

    def run(
        self,
        model: Loadable,
        feeds: Feeds,
        level: Level = Level.ORACLE,
        outputs: Sequence[str] | None = None,
    ) -> dict[str, Array]:
        assert isinstance(model.content, bytes)
        try:
            if model not in self._sessions:
                self._sessions[model] = Session(onnx.ModelProto.FromString(model.content))
            session = self._sessions[model]
            return dict(zip(session.outputs, session.run(feeds), strict=True))
        except refusals() as error:
            raise Refused(str(error)) from error

    def drop(self, model: Loadable) -> None:
        self._sessions.pop(model, None)


def refusals() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises for a model it will not load or run."""
    state = _runtime.capi.onnxruntime_pybind11_state
    names = ("Fail", "InvalidArgument", "InvalidGraph", "RuntimeException", "NotImplemented")
    return tuple(getattr(state, name) for name in names)


def run(
    proto: onnx.ModelProto, feeds: Mapping[str, Array], level: str = "DISABLE_ALL"
) -> list[Array]:
    """Every output of the model."""
    return Session(proto, level).run(feeds)


def signal(shape: Iterable[int], dtype: Any = np.float32, seed: int = 0) -> Array:
    """Values of either sign with single peaks among them; integers over their whole range."""
    random = np.random.default_rng(seed)
    dims, kind = tuple(shape), np.dtype(dtype)
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        return random.integers(limits.min, limits.max, dims, kind, endpoint=True)
    if kind == np.bool_:
        return random.integers(0, 2, dims).astype(kind)
    values = random.standard_normal(dims)
    values[random.random(dims) < 0.1] *= 20
    return values.astype(kind)


def tolerance(dtype: Any, accumulation: int, *arrays: Array) -> float:
    """What rounding may do: two sums of n terms, each of at most twice the largest magnitude.

    A sum of n terms is off by at most n epsilon / 2 of the sum of their magnitudes.
    """
    largest = max((float(np.abs(array).max()) for array in arrays if array.size), default=0.0)
    return 4 * float(np.finfo(dtype).eps) * max(1, accumulation) * largest
