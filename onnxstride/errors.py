"""Every error onnxstride raises on purpose, and the exit code each one means.

::

    OnnxstrideError                2
    |-- UsageError                 2   a request that cannot be carried out as asked
    |-- RuleError                  2   a rule that will not load, or breaks while it runs
    |-- WriteError                 2   a model that cannot be written; what was there is unchanged
    |-- NotProven                  2   a rewritten model that is not proven (engine/delivery.py)
    |-- RuntimeUnavailable         2   ONNX Runtime, or a provider of it, is not there
    |-- RunError                   2   a model could not be run
    |   |-- Refused                    ONNX Runtime will not load it, or not run it on these feeds
    |   |-- Crashed                    ONNX Runtime took its process down with it
    |   `-- TimedOut                   it took longer than allowed
    `-- ModelError                 2   a model that cannot be read, in whole or in part
        |-- UnreadableFile   E001      the file cannot be opened or read
        |-- NotAModel        E002      its bytes are no ONNX model
        |-- InvalidGraph     E003      a model, but its graph contradicts itself
        |-- InvalidNode      E004      an operator whose attributes no runtime can accept
        |-- InvalidTensor    E005      a tensor whose bytes do not match its type and shape
        |-- ExternalData     E006      external data that is missing, too short or out of bounds
        |-- NotProbed        E007      a model whose outputs could not be measured, as was asked for
        `-- InvalidIgnore    E008      a wish to ignore findings that cannot be read

Exit codes: 0 clean, 1 findings, 2 the job could not be done. A message says what was expected,
what was found and what to do next; the file is named by whoever reports the error.
"""

from typing import ClassVar

_LONGEST_MESSAGE = 1500  # a shape may have a million sizes


class OnnxstrideError(Exception):
    """Root of the tree: catching it catches what onnxstride raises, and only that."""

    exit_code: ClassVar[int] = 2

    @property
    def message(self) -> str:
        """What happened and what to do; of one that quotes a lot, the beginning and the end."""
        said = str(self)
        if len(said) <= _LONGEST_MESSAGE:
            return said
        half = _LONGEST_MESSAGE // 2
        return f"{said[:half]} ... {said[-half:]}"


class UsageError(OnnxstrideError):
    """The request cannot be carried out as asked."""


class RuleError(OnnxstrideError):
    """A rule module cannot be loaded, or raised while it ran."""


class WriteError(OnnxstrideError):
    """A model cannot be written. Nothing has appeared under its name, nothing was lost."""


class RunError(OnnxstrideError):
    """A model could not be run."""


class Refused(RunError):
    """ONNX Runtime will not load the model, or not run it on these feeds."""


class Crashed(RunError):
    """ONNX Runtime took its process down with it."""


class TimedOut(RunError):
    """ONNX Runtime did not answer in time."""


class RuntimeUnavailable(OnnxstrideError):
    """ONNX Runtime, or the provider asked for, is not there."""


class ModelError(OnnxstrideError):
    """A model, or a part of it, cannot be read. ``code`` is stable and appears in reports."""

    code: ClassVar[str] = "E000"


class UnreadableFile(ModelError):
    """The file cannot be opened or read."""

    code = "E001"


class NotAModel(ModelError):
    """The bytes are no ONNX model."""

    code = "E002"


class InvalidGraph(ModelError):
    """The graph contradicts itself: a cycle, a name defined twice, an output nobody makes."""

    code = "E003"


class InvalidNode(ModelError):
    """An operator whose attributes no runtime can accept."""

    code = "E004"


class InvalidTensor(ModelError):
    """A tensor whose bytes do not match its type and shape."""

    code = "E005"


class ExternalData(ModelError):
    """External data that is missing, too short, or outside the model's folder."""

    code = "E006"


class NotProbed(ModelError):
    """None of the outputs that were to be measured could be."""

    code = "E007"


class InvalidIgnore(ModelError):
    """What the model says of findings to ignore cannot be read."""

    code = "E008"
