"""The four functions. Each imports what it needs when it is called."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex

from ..errors import InvalidGraph, InvalidNode, UsageError
from ..rule import Safety
from .given import (
    IN_MEMORY,
    Model,
    Names,
    PathLike,
    Shapes,
    bindings_of,
    configs,
    listed,
    one_of,
    opened,
    path_of,
    paths_of,
    read,
    source_of,
    split,
)
from .values import Report, Result

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from onnx import ModelProto

    from ..engine.anatomy import Anatomy
    from ..engine.changes import Rewritten
    from ..engine.delivery import External
    from ..engine.lint import Probe
    from ..engine.planning import Wanted
    from ..engine.results import FileReport
    from ..engine.settings import Setting
    from ..verify import ModelVerdict, VerifyOptions

_CPU = ("CPUExecutionProvider",)
_TIMEOUT = 600.0


def lint(
    models: Model | Iterable[PathLike],
    *,
    select: Names = (),
    ignore: Names = (),
    extend_select: Names = (),
    input_shapes: Shapes | None = None,
    dims: Mapping[str, SupportsIndex] | None = None,
    rules: PathLike | Iterable[PathLike] = (),
    probe: bool = False,
    executor: Executor | None = None,
    config: PathLike | None = None,
    isolated: bool = False,
    heed_ignores: bool = True,
    baseline: PathLike | None = None,
) -> Report:
    """What is wrong with models.

    A file that cannot be read is no exception but a report with an error: others may follow it.

    Args:
        models: one model, or paths, each a file, a folder of models or a pattern.
        select: rules to run, by code, name or beginning of codes; all by default.
        ignore: rules to leave out.
        extend_select: rules to run as well.
        input_shapes: shapes of inputs by name.
        dims: sizes of symbols by name.
        rules: folders of rule modules to load besides what is installed.
        probe: also run the models on constant images and judge what they draw.
        executor: where to lint files at once; any ``concurrent.futures.Executor``.
        config: the configuration for all models; by default the closest one to each is used, and
            to a model in memory that of the current folder.
        isolated: True uses no configuration.
        heed_ignores: False shows everything, whatever a model, a configuration or a baseline lets
            pass.
        baseline: where findings to let pass are recorded; by default the configuration says. A
            model in memory has none.

    Raises:
        UsageError: no such rule, no such model, sizes that do not fit, a broken configuration or
            baseline.
        RuleError: a rule cannot be loaded.
        RuntimeUnavailable: there is nothing to probe with.
    """
    from ..engine.settings import Asked, Settings, refuse_unasked, refuse_unused
    from ..registry import load_rules

    if probe and executor is not None:
        raise UsageError("a probe runs models on every core already; leave out the executor")
    folders, bindings = paths_of(rules), bindings_of(input_shapes, dims)
    asked = Asked(
        listed(select),
        listed(ignore),
        listed(extend_select),
        bindings,
        heeds_ignores=heed_ignores,
    )
    of_file = Settings(load_rules(folders), asked, configs(config, isolated=isolated)).of
    in_memory, settings = _settings(models, of_file)
    refuse_unasked(settings, asked, probes=probe)
    with _prober() if probe else nullcontext() as prober:
        files = tuple(_linted(in_memory, settings, folders, prober, executor))
    refuse_unused(asked, files)
    if in_memory is not None or not heed_ignores:
        return Report(files)
    return _settled(files, settings, None if baseline is None else os.fspath(baseline))


def rewrite(
    model: Model,
    *,
    output: PathLike | None = None,
    use: Names = (),
    select: Names = (),
    ignore: Names = (),
    nodes: str | None = None,
    allow: Safety | str | None = None,
    rules: PathLike | Iterable[PathLike] = (),
    data: PathLike | None = None,
    form: Literal["additive", "slice-max"] | None = None,
    conv: Literal["full", "depthwise"] | None = None,
    init: Literal["exact", "mean", "fit"] | None = None,
    activation: bool | None = None,
    blur: int | None = None,
    kernel: int | None = None,
    mode: Literal["nearest", "linear"] | None = None,
    smooth: Literal["binomial", "box"] | None = None,
    opset: int | None = None,
    verify: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    min_snr: float | None = None,
    timeout: float | None = _TIMEOUT,
    external_data: External | None = None,
    config: PathLike | None = None,
    isolated: bool = False,
) -> Result:
    """The model mended, proven against what it was, and written or handed back.

    What is left out is as the configuration says, and without one as given below.

    Args:
        model: the model; it stays as it is unless ``output`` is its own path.
        output: where to write; None keeps the rewritten model in the result.
        use: names of rewrites to apply wherever they fit, whether a rule complains or not.
        select: rules whose findings to mend, where ``use`` names nothing; all by default.
        ignore: rules whose findings to leave.
        nodes: glob that a node's name must match; all do.
        allow: the most that a rewrite may change: ``exact``, ``approximate`` or ``training``;
            exact.
        rules: folders of rule modules to load besides what is installed.
        data: feeds to fit and to verify on: a ``.npz``, a folder of ``.npy``, ONNX test data, or
            ``module:function``.
        form: of maxpool-to-exact-conv: convolutions with parameters, or bit-exact slices;
            additive.
        conv: new convolutions mix channels or not; None lets the rewrite choose.
        init: weights of new convolutions; ``fit`` needs ``data``.
        activation: a ReLU after maxpool-to-conv; none.
        blur: taps of a new blur along each axis; 3.
        kernel: taps of a convolution behind a Resize.
        mode: how a new Resize interpolates; nearest.
        smooth: filter of smooth-output; binomial.
        opset: operator set that the model may be raised to.
        verify: False writes without proof.
        rtol: relative tolerance of the outputs.
        atol: absolute tolerance of the outputs.
        min_snr: least signal to noise ratio of the outputs in dB.
        timeout: seconds for loading a model or running it once; None for ever.
        external_data: ``reference`` leaves it where it is, ``copy`` copies it beside ``output``;
            reference.
        config: the configuration; by default the closest one to the model, and to a model in
            memory that of the current folder.
        isolated: True uses no configuration.

    Raises:
        ModelError: the model cannot be read.
        UsageError: no such rewrite or rule, or wishes that exclude each other.
        WriteError: nothing was written.
    """
    from ..engine.configured import rewriting
    from ..engine.planning import checked, plan_of
    from ..engine.rewriting import rewrite_model
    from ..rewrite import Options
    from ..verify import VerifyOptions

    found = configs(config, isolated=isolated).of(path_of(model))
    limit = None if timeout == _TIMEOUT else timeout or 0
    wishes = {
        "use": listed(use), "select": listed(select), "ignore": listed(ignore), "nodes": nodes,
        "allow": allow, "form": form, "conv": conv, "init": init, "activation": activation,
        "blur": blur, "kernel": kernel, "mode": mode, "smooth": smooth, "opset": opset,
        "rtol": rtol, "atol": atol, "min-snr": min_snr, "timeout": limit,
        "external-data": external_data,
    }  # fmt: skip
    wishes = {key: value for key, value in wishes.items() if value not in (None, ())}
    said: dict[str, Any] = {"timeout": _TIMEOUT, **rewriting(found, wishes)}
    fields = Options.__dataclass_fields__
    chosen = checked(Options(**{key: said[key] for key in fields if key in said}))
    if output is not None and os.fspath(output).endswith(".onnxtxt"):
        raise UsageError("ONNX text cannot be written; name an output that ends in .onnx")
    feeds = None if data is None else os.fspath(data)
    wanted = _wanted(said, paths_of(rules), feeds)._replace(options=chosen, config=found)
    external = said.get("external-data", "reference")
    is_copied = one_of("external_data", external, ("reference", "copy")) == "copy"
    options = VerifyOptions(
        data=feeds,
        rtol=said.get("rtol"),
        atol=said.get("atol"),
        min_snr=said.get("min-snr"),
        timeout=said["timeout"] or None,
    )
    with read(model) as given, options.runner() as runner:
        rewritten = rewrite_model(given, plan_of(given, wanted, runner))
        proving = options if verify else None
        if output is None:
            return _kept(source_of(model), rewritten, proving)
        return _written(source_of(model), rewritten, Path(output), proving, copied=is_copied)


def verify(
    before: Model,
    after: Model,
    *,
    data: PathLike | None = None,
    seeds: int = 1,
    sizes: Iterable[int] = (),
    input_shapes: Shapes | None = None,
    dims: Mapping[str, SupportsIndex] | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    min_snr: float | None = None,
    providers: Names = _CPU,
    timeout: float | None = _TIMEOUT,
    by_position: bool = False,
) -> ModelVerdict:
    """Whether the model ``after`` computes what the model ``before`` does.

    Args:
        before: the model that is right by definition.
        after: what has become of it.
        data: feeds as for ``rewrite``; otherwise they are made up.
        seeds: made-up feeds of each kind, for each size.
        sizes: of the axes that the model leaves open.
        input_shapes: shapes of inputs by name.
        dims: sizes of symbols by name.
        rtol: relative tolerance; by type otherwise.
        atol: absolute tolerance; by type and magnitude otherwise.
        min_snr: least signal to noise ratio in dB, in place of tolerances that are not given.
        providers: ONNX Runtime's execution providers, most wanted first.
        timeout: seconds for loading a model or running it once; None for ever.
        by_position: match inputs and outputs by position instead of name.

    Raises:
        ModelError: one of them cannot be read.
        UsageError: options do not fit the models, or the data does not.
        RuntimeUnavailable: there is nothing to run them with.
    """
    from ..verify import VerifyOptions
    from ..verify import verify as compare

    options = VerifyOptions(
        data=None if data is None else os.fspath(data),
        seeds=seeds,
        sizes=tuple(sizes),
        bindings=bindings_of(input_shapes, dims),
        rtol=rtol,
        atol=atol,
        min_snr=min_snr,
        providers=listed(providers),
        timeout=timeout or None,
        by_position=by_position,
    )
    varied = options.seeds != 1 or options.sizes or options.bindings.names()
    if data is not None and varied:
        raise UsageError("data brings its own values and sizes; leave out seeds, sizes and shapes")
    return compare(source_of(before), source_of(after), options)


def analyse(
    model: Model,
    *,
    input_shapes: Shapes | None = None,
    dims: Mapping[str, SupportsIndex] | None = None,
) -> Anatomy:
    """The geometry of every layer, the input sizes that fit, and how the model goes down and up.

    Weights are not read, so they may be missing.

    Args:
        model: the model.
        input_shapes: shapes of inputs by name.
        dims: sizes of symbols by name.

    Raises:
        ModelError: a layer, or all of the model, cannot be read.
        UsageError: sizes that contradict the model, or that it has no use for.
    """
    from ..engine.anatomy import anatomy
    from ..engine.reporting import read_bound

    with read(model) as given:
        graph = read_bound(given, bindings_of(input_shapes, dims))
        for fault in graph.faults:
            if isinstance(fault, (InvalidGraph, InvalidNode)):
                raise fault
        return anatomy(graph)


def _settled(
    files: tuple[FileReport, ...], settings: Sequence[Setting], baseline: str | None
) -> Report:
    """The report after what the baseline of each file lets pass."""
    from ..engine.baseline import read_baselines, settle

    baselines = read_baselines(settings, baseline)
    if not any(baselines):
        return Report(files)
    return Report(*settle(files, baselines))


def _settings(
    models: Model | Iterable[PathLike], of_file: Callable[..., Setting]
) -> tuple[bytes | ModelProto | None, list[Setting]]:
    """The model that is in memory, if it is one, and how each model is linted."""
    from ..engine.files import expand

    in_memory, paths = split(models)
    if in_memory is not None:
        return in_memory, [of_file(IN_MEMORY, has_path=False)]
    found = [of_file(path) for path in expand(paths)]
    if not found:
        raise UsageError("expected at least one model, found none")
    return None, found


def _linted(
    in_memory: bytes | ModelProto | None,
    settings: Sequence[Setting],
    folders: tuple[str, ...],
    probe: Probe | None,
    executor: Executor | None,
) -> Iterator[FileReport]:
    from ..engine.lint import lint_file, lint_opened

    if in_memory is not None:
        [each] = settings
        yield lint_opened(each.name, lambda: opened(in_memory), each.rules, each.policy, probe)
        return
    if executor is None:
        for each in settings:
            wanted = probe if each.judges_probes else None
            yield lint_file(each.name, each.rules, each.policy, wanted)
        return
    from ..engine.parallel import Job, lint_each

    jobs = [Job(each.name, each.codes, folders, each.policy) for each in settings]
    yield from lint_each(jobs, executor)


def _wanted(said: Mapping[str, Any], folders: tuple[str, ...], data: str | None) -> Wanted:
    """What is to be rewritten, from wishes by their keys."""
    from ..engine.planning import Wanted

    levels = tuple(each.value for each in Safety)
    return Wanted(
        use=said.get("use", ()),
        select=said.get("select", ()),
        ignore=said.get("ignore", ()),
        folders=folders,
        allow=Safety(one_of("allow", said.get("allow", Safety.EXACT), levels)),
        nodes=said.get("nodes", "*"),
        data=data,
    )


def _kept(source: Path | bytes, rewritten: Rewritten, options: VerifyOptions | None) -> Result:
    """The result in memory: written and proven as a file, and read again."""
    from ..modelfile import open_model
    from ..verify import complete

    with TemporaryDirectory() as folder:
        place = Path(folder) / "after.onnx"
        result = _written(source, rewritten, place, options, copied=True)
        if not result:
            return result
        with open_model(place) as written:
            return replace(result, output=None, model=complete(written))


def _written(
    source: Path | bytes,
    rewritten: Rewritten,
    output: Path,
    options: VerifyOptions | None,
    *,
    copied: bool,
) -> Result:
    from ..engine.delivery import NotProven, deliver

    external: External = "copy" if copied else "reference"
    place: Path | None = output
    try:
        proof = deliver(source, rewritten, output, external=external, options=options)
    except NotProven as failure:
        proof, place = failure.proof, None
    # The small models cut out around each site have served: they hold the weights twice.
    changes = tuple(replace(change, cutout=None) for change in rewritten.changes)
    return Result(changes, rewritten.declined, rewritten.offered, proof, place)


def _prober() -> Any:
    from ..engine.probing import Prober

    return Prober()
