"""From a preset or a YAML file and overrides to a ``SearchConfig``, or one line that says what is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import yaml

from evaluators.fields import FieldError
from nas.config.fields import named
from nas.config.pairs import split_pair
from nas.config.schema import SearchConfig
from results.nearby import nearest_file
from search_spaces import SearchSpace, get_space
from search_spaces.extension import nearest

_T = TypeVar("_T")


def presets(folder: str = "presets") -> dict[str, str]:
    """Text of every built-in preset by name."""
    files = resources.files("nas.config").joinpath(folder).iterdir()
    return {
        file.name.removesuffix(".yaml"): file.read_text()
        for file in files
        if file.name.endswith(".yaml")
    }


def load_config(source: str, overrides: Iterable[str] = ()) -> SearchConfig:
    """The configuration in a preset or YAML file, with ``key=value`` overrides (dots descend, values are YAML).

    Raises:
        ValueError: one line that names the file, the key, the value and what would be right.
    """
    return validate(read_values(source, overrides, presets()), source)


def load_space(name: str) -> SearchSpace:
    """The space of that name, or that of a preset or YAML file of settings, which may be a union.

    Raises:
        ValueError: as ``get_space`` or ``load_config``.
    """
    if name in presets() or name.endswith((".yaml", ".yml")):
        return load_config(name).space.build()
    return get_space(name)


def read_values(
    source: str, overrides: Iterable[str], known: Mapping[str, str]
) -> dict[str, Any]:
    """Plain values of a YAML file, or a text in ``known`` by name, with overrides; raises as ``load_config``."""
    values = _read(source, known)
    for override in overrides:
        key, value = split_pair(
            override, f"--set {override}:", "key=value, e.g. trials=16"
        )
        _set(values, key, _parse(value, f"--set {key}"))
    return values


def validate(values: Mapping[str, object], source: str) -> SearchConfig:
    """A ``SearchConfig`` of plain values; ``ValueError`` in one line that begins with ``source``."""
    return built(lambda plain: SearchConfig(**plain), values, source)


def built(
    make: Callable[[dict[str, Any]], _T], values: Mapping[str, object], source: str
) -> _T:
    """What ``make`` makes of plain values; ``ValueError`` in one line that begins with ``source``."""
    try:
        # a date that YAML made is a text again
        plain = json.loads(json.dumps(values, default=str))
        return make(plain)
    except FieldError as error:
        key = ".".join(error.path)
        raise ValueError(
            ": ".join(part for part in (source, key, error.problem) if part)
        ) from error
    except (TypeError, RecursionError) as error:
        raise ValueError(f"{source}: no settings: {error}") from error


def _read(source: str, known: Mapping[str, str]) -> dict[str, Any]:
    if source in known:
        text = known[source]
    elif source.endswith((".yaml", ".yml")) or Path(source).is_file():
        try:
            text = Path(source).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or error
            near = nearest_file(Path(source))
            raise ValueError(f"{source}: cannot be read ({reason}){near}") from error
    else:
        raise ValueError(_unknown(source, known))
    values = _parse(text, source)
    if not isinstance(values, dict):
        raise ValueError(
            f"{source}: a mapping of settings is needed, such as 'trials: 16'"
        )
    return values


def _unknown(source: str, known: Iterable[str]) -> str:
    path = Path(source)
    if path.is_dir():
        return f"{source}: a folder, where a preset or a .yaml file is needed (a run is gone on with by resume)"
    near = nearest(source, sorted(known))
    if (file := path.with_name(f"{path.name}.yaml")).is_file():
        near = f"; did you mean {file}?"
    return f"unknown preset {source!r}{near} (or name a .yaml file)"


class _Loader(yaml.SafeLoader):
    """Safe, reads 1e-3 as the number it is (YAML 1.1 wants 1.0e-3), and refuses a key given twice."""

    def construct_mapping(
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Hashable, Any]:
        # YAML would take the later of two equal keys without a word
        keys = [key.value for key, _ in node.value]
        for number, (key, _) in enumerate(node.value):
            if key.value in keys[:number]:
                raise yaml.MarkedYAMLError(
                    problem=f"{key.value} is given twice", problem_mark=key.start_mark
                )
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def _parse(text: str, source: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except RecursionError as error:
        raise ValueError(f"{source}: nested too deeply") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        what = getattr(error, "problem", None) or "not text"
        raise ValueError(f"{source}: not valid YAML{where}: {what}") from error


def _set(values: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    for name in path:
        # a short form such as space: resnest gains keys
        values[name] = named(values.get(name)) or {}
        values = values[name]
        if not isinstance(values, dict):
            raise ValueError(f"--set {key}: {name} holds no further keys")
    values[last] = value
