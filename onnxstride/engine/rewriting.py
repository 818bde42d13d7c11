"""Rewrites a model: finds the sites, builds what takes their place, splices it in, until settled.

Two ways lead to a site: a finding whose rule a rewrite mends, or a rewrite named by the user,
which is then asked about every layer it fits. Sites are visited in graph order and each is
spliced in before the next is looked at, so that a rewrite which fits weights on activations
sees what the rewrites before it have made of them. A rewrite that may be exact at some sites is
asked where no more is allowed, and says there what it can do. What is known of the values
around a site is what the original says of them, so the model is read anew once a rewrite may have
moved them. What needs a newer operator set comes first, all of it at once, if the user lets the
model be raised and no other node would mean something else then. A round ends when every site was
visited; the model is read anew then in any case, because mending one thing can uncover another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from ..errors import InvalidGraph, RuleError, RunError, UsageError
from ..graph import Graph, read_graph
from ..graph.layers import Layer
from ..modelfile import ModelFile
from ..registry import LoadedRewrite
from ..rewrite import Refusal
from ..rule import Finding, Safety
from ..surgery import Cutout, Replacement, Samples, Site, cut_out, drop_unread, splice
from .answers import answer_of, safety_of
from .changes import Change, Declined, Plan, Rewritten, Tap, record
from .cost import multiply_adds, parameters
from .ignoring import judged
from .lint import lint_graph
from .model_ignores import held_by
from .opsets import in_the_way, raise_imports, why_not
from .results import FileReport
from .upstream import Upstream

if TYPE_CHECKING:
    from onnx import ModelProto

_MAX_ROUNDS = 10

_Place = tuple[tuple[str, ...], str]
"""A layer's scope and first output, which stay what they are when the model is read anew."""


def rewrite_model(model: ModelFile, plan: Plan) -> Rewritten:
    """The model with every site of ``plan`` rewritten; ``model`` itself is left alone.

    Raises:
        InvalidGraph: the model has no node, two that make a tensor of one name, or one that reads
            what it makes.
        InvalidIgnore: what it says of findings to ignore cannot be read.
        RuleError: a rewrite failed, or rewrites undo each other without end.
    """
    return _Run(model, plan).result()


@dataclass(slots=True)
class _Pending:
    """A change before the model is complete, when the cost of the new nodes is not known."""

    site: Site
    loaded: LoadedRewrite
    replacement: Replacement
    cutout: Cutout | str
    parameters_before: int
    multiply_adds_before: int | None


class _Run:
    """One rewriting of one model."""

    def __init__(self, model: ModelFile, plan: Plan) -> None:
        self._plan = plan
        proto: ModelProto = type(model.proto)()
        proto.CopyFrom(model.proto)
        self._model = model.edited(proto)
        graph = read_graph(self._model)
        _refuse_ambiguous(graph)
        self._taken = _names(graph)
        self._visited: set[tuple[_Place, str]] = set()
        self._pending: list[_Pending] = []
        self._declined: list[Declined] = []
        self._offered: dict[str, set[_Place]] = {}

    def result(self) -> Rewritten:
        for _ in range(_MAX_ROUNDS):
            if not self._round():
                return self._finished()
        names = ", ".join(sorted({pending.loaded.name for pending in self._pending}))
        raise RuleError(
            f"the model does not settle in {_MAX_ROUNDS} rounds: {names} find ever new sites; "
            f"use them one at a time"
        )

    def _round(self) -> bool:
        """Visit every site once; True when something was rewritten."""
        thresholds = self._plan.policy.thresholds
        graph = read_graph(self._model, thresholds=thresholds)
        sites = list(self._sites(graph))
        is_raised = self._raise_opset(sites, graph)
        if is_raised:
            graph = read_graph(self._model, thresholds=thresholds)
            sites = list(self._sites(graph))
        layers = {_place(layer): layer for layer in graph.layers}
        gone: set[_Place] = set()
        for place, candidates in [(_place(layer), found) for layer, found in sites]:
            if place in gone or place not in layers:
                continue  # its surroundings are new: it is looked at again in the next round
            pending = self._rewritten(layers[place], candidates, graph)
            if pending is None:
                continue
            path = pending.site.scope.path
            removed = pending.replacement.removed
            gone.update((path, name) for node in removed for name in node.outputs)
            if safety_of(pending.loaded, pending.replacement) is not Safety.EXACT:
                graph = read_graph(self._model)
                layers = {_place(layer): layer for layer in graph.layers}
        return bool(gone) or is_raised

    def _sites(self, graph: Graph) -> Iterator[tuple[Layer, list[LoadedRewrite]]]:
        """Layers to look at, each with the rewrites to try in turn."""
        if self._plan.named:
            for layer in graph.layers:
                fitting = [r for r in self._plan.rewrites if isinstance(layer, r.rewrite.on)]
                if fitting and self._is_meant(layer):
                    yield layer, fitting
            return
        findings = self._findings(graph)
        upstream = Upstream(graph)
        remedies: dict[Layer, dict[str, LoadedRewrite]] = {}
        for ref, code in dict.fromkeys((finding.node, finding.code) for finding in findings):
            for loaded in self._plan.rewrites:
                if code not in loaded.rewrite.mends:
                    continue
                for layer in upstream.layers_at(ref, loaded.rewrite.on):
                    remedies.setdefault(layer, {})[loaded.name] = loaded
        for layer in graph.layers:
            if layer in remedies and self._is_meant(layer):
                yield layer, list(remedies[layer].values())

    def _findings(self, graph: Graph) -> Sequence[Finding]:
        findings, _, _ = lint_graph(graph, self._plan.rules)
        report = FileReport(self._model.name, findings=tuple(findings))
        held = held_by(self._model, graph)
        if held.faults:  # what is to be left alone is not known
            raise held.faults[0]
        return judged(report, self._plan.rules, self._plan.policy, held.entries).findings

    def _is_meant(self, layer: Layer) -> bool:
        if not layer.node.output(0):
            return False  # nobody reads what it makes
        name, glob = layer.node.name, self._plan.nodes
        return name == glob or fnmatchcase(name, glob)  # a name may hold brackets of its own

    def _rewritten(
        self, layer: Layer, candidates: list[LoadedRewrite], graph: Graph
    ) -> _Pending | None:
        """The first candidate that takes the site, spliced in; None when none does."""
        place = _place(layer)
        for loaded in candidates:
            if (place, loaded.name) in self._visited:
                continue
            self._visited.add((place, loaded.name))
            rewrite, allowed = loaded.rewrite, self._plan.allow.rank
            pending = None
            if (rewrite.at_best or rewrite.safety).rank <= allowed:
                pending = self._asked(layer, loaded, graph)
            if pending is not None:
                return pending
            if rewrite.safety.rank > allowed:
                self._offered.setdefault(rewrite.safety.value, set()).add(place)
        return None

    def _raise_opset(
        self, sites: Sequence[tuple[Layer, list[LoadedRewrite]]], graph: Graph
    ) -> bool:
        """Rewrite all that needs a newer operator set, at once, and raise the model's.

        One by one would not do: in the newer set what is still to be rewritten is not valid. True
        when it was done; where it cannot be, those sites are declined.
        """
        target, taken = self._plan.options.opset, {*self._taken}
        asked = list(self._built_for_newer(sites, graph))
        if not asked:
            return False
        willing = [each for each in asked if each[0].rewrite.opset <= (target or 0)]
        going = {node for _, _, replacement in willing for node in replacement.removed}
        obstacles = [node for node in in_the_way(graph, target or 0) if node not in going]
        is_raised = False
        for loaded, site, replacement in asked:
            reason = why_not(loaded.rewrite, site.layer.opset, target, obstacles)
            if reason:
                self._declined.append(Declined(site.ref, loaded.name, reason))
                continue
            replacement.figures["opset"] = target
            self._put_in(loaded, site, replacement, graph)
            is_raised = True
        if is_raised:
            raise_imports(self._model.proto, target or 0)
        else:
            self._taken = taken
        return is_raised

    def _built_for_newer(
        self, sites: Sequence[tuple[Layer, list[LoadedRewrite]]], graph: Graph
    ) -> Iterator[tuple[LoadedRewrite, Site, Replacement]]:
        """What rewrites would make of layers whose operator set is too old for them."""
        for layer, candidates in sites:
            for loaded in candidates:
                needed, key = loaded.rewrite.opset, (_place(layer), loaded.name)
                is_allowed = loaded.rewrite.safety.rank <= self._plan.allow.rank
                if needed <= layer.opset or key in self._visited or not is_allowed:
                    continue
                self._visited.add(key)
                site = self._site(layer, graph, max(needed, self._plan.options.opset or 0))
                replacement = self._answer(loaded, site)
                if not isinstance(replacement, Refusal):
                    yield loaded, site, replacement
                    break
                self._declined.append(Declined(layer.ref, loaded.name, replacement.reason))

    def _site(self, layer: Layer, graph: Graph, opset: int | None = None) -> Site:
        plan = self._plan
        taps = self._tapped(plan.tap, layer), self._tapped(plan.made_up, layer)
        return Site(layer, graph, plan.options, self._taken, *taps, plan.allow, opset)

    def _asked(self, layer: Layer, loaded: LoadedRewrite, graph: Graph) -> _Pending | None:
        site = self._site(layer, graph)
        replacement = self._answer(loaded, site)
        if isinstance(replacement, Refusal):
            if loaded.rewrite.safety.rank <= self._plan.allow.rank:  # else it is an offer
                self._declined.append(Declined(layer.ref, loaded.name, replacement.reason))
            return None
        return self._put_in(loaded, site, replacement, graph)

    def _put_in(
        self, loaded: LoadedRewrite, site: Site, replacement: Replacement, graph: Graph
    ) -> _Pending:
        """The replacement, spliced into the model."""
        pending = _Pending(
            site,
            loaded,
            replacement,
            cut_out(graph, site.layer, replacement),
            parameters(replacement.removed),
            multiply_adds(replacement.removed, graph),
        )
        splice(site.scope, replacement, graph.ir_version)
        self._pending.append(pending)
        # A rewrite is not asked about what it has just made.
        self._visited.update(
            ((site.scope.path, name), loaded.name)
            for node in replacement.nodes
            for name in node.output
        )
        return pending

    def _answer(self, loaded: LoadedRewrite, site: Site) -> Replacement | Refusal:
        try:
            return answer_of(loaded, site)
        except (RunError, UsageError) as error:
            if site.has_samples or not site.can_make_up_samples:
                raise
            return Refusal(f"no inputs made up for the model take it this far: {error.message}")

    def _tapped(self, tap: Tap | None, layer: Layer) -> Callable[[], Samples] | None:
        if tap is None or layer.node.scope.path:
            return None  # a tensor inside a body or function cannot be handed out
        return lambda: tap(self._model, layer)

    def _finished(self) -> Rewritten:
        read = [
            (pending.site.scope.path, name)
            for pending in self._pending
            for node in pending.replacement.removed
            for name in node.inputs
            if name
        ]
        if read:
            drop_unread(read_graph(self._model), read)
        graph = read_graph(self._model)
        changes = tuple(self._change(pending, graph) for pending in self._pending)
        if changes:
            record(self._model.proto, changes)
        offered = {safety: len(places) for safety, places in self._offered.items()}
        return Rewritten(self._model, changes, tuple(self._declined), offered)

    def _change(self, pending: _Pending, graph: Graph) -> Change:
        # By the proto, which is edited in place: a path changes with the name of a node that has
        # become unique, or has ceased to be.
        scope = next(s for s in graph.scopes if s.proto is pending.site.scope.proto)
        names = {name for node in pending.replacement.nodes for name in node.output if name}
        made = {node for name in names if (node := scope.producer(name)) is not None}
        added = sorted(made, key=lambda node: node.index)
        cut = pending.cutout
        return Change(
            node=pending.site.ref,
            rewrite=pending.loaded.name,
            safety=safety_of(pending.loaded, pending.replacement),
            removed=tuple(node.op_type for node in pending.replacement.removed),
            added=tuple(node.op_type for node in pending.replacement.nodes),
            parameters_before=pending.parameters_before,
            parameters_after=parameters(added),
            multiply_adds_before=pending.multiply_adds_before,
            multiply_adds_after=multiply_adds(added, graph),
            accumulation=pending.replacement.accumulation,
            cutout=cut if isinstance(cut, Cutout) else None,
            uncut=cut if isinstance(cut, str) else "",
            figures=pending.replacement.figures,
            widens=pending.replacement.widens,
        )


def _place(layer: Layer) -> _Place:
    return layer.node.scope.path, layer.node.output(0)


def _refuse_ambiguous(graph: Graph) -> None:
    """Raise InvalidGraph where a name does not tell which node makes a tensor, or from what."""
    for scope in graph.scopes:
        made: set[str] = set()
        for node in scope.nodes:
            for name in filter(None, node.outputs):
                if name in node.inputs:
                    raise InvalidGraph(
                        f"{node.op_type} {node.name!r} reads {name!r}, which it makes itself"
                    )
                if name in made:
                    raise InvalidGraph(
                        f"{node.op_type} {node.name!r} defines {name!r}, which another node "
                        f"defines as well; give every tensor a name of its own to rewrite it"
                    )
                made.add(name)


def _names(graph: Graph) -> set[str]:
    """Every name in use, of nodes and of tensors, so that new ones stand apart."""
    taken: set[str] = set()
    for scope in graph.scopes:
        taken.update(scope.inputs, scope.initializers)
        taken.update(value.name for value in scope.proto.value_info)  # also of what is gone
        for node in scope.nodes:
            taken.add(node.proto.name)
            taken.update(node.outputs)
    return taken
