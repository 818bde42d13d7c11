"""What is in force for a file, key by key as a configuration spells them, and who says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ..config import Config
from ..rewrite import Options
from ..rule import Safety, Severity
from .results import Ignore
from .settings import NEVER, Asked, Setting

DEFAULT = "default"

_OF_REWRITING: Mapping[str, Any] = {
    "allow": Safety.EXACT.value,
    "use": (),
    "select": (),
    "ignore": (),
    "nodes": "*",
    **{name: getattr(Options(), name) for name in Options.__dataclass_fields__},
    "rtol": None,
    "atol": None,
    "timeout": 600.0,
    "external-data": "reference",
}


class Entry(NamedTuple):
    """A key with its value. ``origin`` is ``default``, an option, or a file and a line of it."""

    key: str
    value: Any
    origin: str


class InForce(NamedTuple):
    """What holds for one file.

    Attributes:
        name: the file, as the user spells it.
        config: its configuration file; None without one.
        rules: codes of the rules that run.
        entries: the keys that have one value each.
        ignores: what the configuration lets pass.
    """

    name: str
    config: str | None
    rules: tuple[str, ...]
    entries: tuple[Entry, ...]
    ignores: tuple[Ignore, ...]


def in_force(setting: Setting, asked: Asked) -> InForce:
    """All that holds for the file of ``setting``, which options and its configuration make."""
    config = setting.config
    entries = (
        *_selection(setting, asked),
        *_levels(setting),
        *_thresholds(setting),
        *_sizes(setting),
        *_rewriting(config),
    )
    path = config.path if config is not None else None
    return InForce(setting.name, path, setting.codes, entries, setting.policy.ignores)


def _selection(setting: Setting, asked: Asked) -> Iterator[Entry]:
    config = setting.config
    if asked.select:
        yield Entry("select", tuple(asked.select), "--select")
    else:
        yield _configured(config, "select", ("ALL",))
    if asked.ignore:
        yield Entry("ignore", tuple(asked.ignore), "--ignore")
    else:
        yield _configured(config, "ignore", ())
    if asked.extend_select and (asked.select or config is None or config.extend_select is None):
        yield Entry("extend-select", tuple(asked.extend_select), "--extend-select")
    elif asked.extend_select:
        found = _configured(config, "extend-select", ())
        value = (*found.value, *asked.extend_select)
        yield Entry("extend-select", value, f"{found.origin}, --extend-select")
    elif asked.select:
        yield Entry("extend-select", (), "--select")
    else:
        yield _configured(config, "extend-select", ())
    level = setting.policy.fail_on.value if setting.policy.fail_on is not None else NEVER
    if asked.fail_on is not None:
        yield Entry("fail-on", level, "--fail-on")
    else:
        yield _configured(config, "fail-on", Severity.WARNING.value)
    yield _configured(config, "baseline", None)


def _configured(config: Config | None, key: str, default: Any) -> Entry:
    value = getattr(config, key.replace("-", "_"), None)
    if config is None or value is None:
        return Entry(key, default, DEFAULT)
    return Entry(key, value, config.where(key))


def _levels(setting: Setting) -> Iterator[Entry]:
    config = setting.config
    if config is not None:
        for name, level in config.severity.items():
            yield Entry(f"severity.{name}", level, config.where("severity", name))


def _thresholds(setting: Setting) -> Iterator[Entry]:
    config, found = setting.config, setting.policy.thresholds
    in_file = {} if config is None else {
        "ripple-db": config.ripple_db, "probe": config.probe, "min-snr": config.min_snr,
    }  # fmt: skip
    values = {"ripple-db": found.ripple_db, "probe": found.probe, "min-snr": in_file.get("min-snr")}
    for key, value in values.items():
        is_said = config is not None and in_file[key] is not None
        origin = config.where("thresholds", key) if config is not None and is_said else DEFAULT
        yield Entry(f"thresholds.{key}", value, origin)


def _sizes(setting: Setting) -> Iterator[Entry]:
    given = setting.policy.bindings
    for name, shape in given.shapes.items():
        yield Entry(f"inputs.shapes.{name}", shape, given.origins.get(name, "--input-shape"))
    for name, size in given.dims.items():
        yield Entry(f"inputs.dims.{name}", size, given.origins.get(name, "--dim"))


def _rewriting(config: Config | None) -> Iterator[Entry]:
    said = config.rewrite if config is not None else {}
    for key, default in _OF_REWRITING.items():
        if config is not None and key in said:
            yield Entry(f"rewrite.{key}", said[key], config.where("rewrite", key))
        else:
            yield Entry(f"rewrite.{key}", default, DEFAULT)
