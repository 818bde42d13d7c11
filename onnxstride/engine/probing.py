"""Probes models for linting and rewriting.

A probe runs its models in one child process, which is started for the first that has something to
measure. What comes back is plain values (see ``probe.values``), so that files can be probed in
processes of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from ..graph import Bindings, Graph, read_graph
from ..modelfile import ModelFile, open_model
from ..probe import Probed, ProbeOptions, probe_model
from ..verify.runtime import Runner

if TYPE_CHECKING:
    from types import TracebackType

Tell = Callable[[str], None]


class Prober:
    """Probes one model after another; ``tell`` hears what is being run."""

    def __init__(self, options: ProbeOptions | None = None, tell: Tell | None = None) -> None:
        self._options = options or ProbeOptions()
        self._runner = Runner(timeout=self._options.timeout)
        self._tell = tell

    def __call__(self, model: ModelFile, graph: Graph, like: Probed | None = None) -> Probed:
        """What the outputs of one model repeat; also those that ``like`` has (see ``probe_model``).

        Raises:
            UsageError: the data does not fit the model.
            RuntimeUnavailable: there is nothing to run it with.
        """
        return probe_model(model, graph, self._options, self._runner, like=like, tell=self._tell)

    def close(self) -> None:
        """Ends the child process. Nothing is lost: another model would start another."""
        self._runner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def probe_pair(
    before: ModelFile,
    after: ModelFile,
    options: ProbeOptions | None = None,
    tell: Tell | None = None,
) -> tuple[Probed, Probed]:
    """What the outputs of a model repeat, and the same outputs of what it has become.

    Raises:
        UsageError: the data does not fit the models.
        RuntimeUnavailable: there is nothing to run them with.
    """
    with Prober(options, tell) as prober:
        first = prober(before, read_graph(before))
        return first, prober(after, read_graph(after), first)


def probe_file(
    path: str,
    options: ProbeOptions | None = None,
    *,
    bindings: Bindings | None = None,
    like: Probed | None = None,
    tell: Tell | None = None,
) -> Probed:
    """What the outputs of the model in a file repeat; see ``probe_model``.

    Raises:
        ModelError: it cannot be read.
        UsageError: the data or the bindings do not fit the model.
        RuntimeUnavailable: there is nothing to run it with.
    """
    with open_model(path) as model, Prober(options, tell) as prober:
        return prober(model, read_graph(model, bindings), like)
