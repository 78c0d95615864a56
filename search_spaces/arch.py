"""An architecture is a value: a frozen set of knobs that lowers to the description of one network."""

from __future__ import annotations

import hashlib
import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache, cached_property, lru_cache
from typing import Any, ClassVar, Self, get_args, get_type_hints

from search_spaces.extension import nearest
from search_spaces.network import Description


@dataclass(frozen=True)
class Arch(ABC):
    """Base of all architectures; a subclass is a frozen dataclass of knobs.

    Knobs are ``int``, ``float``, ``bool``, ``str`` or a tuple of one of them, ``tuple[int, ...]`` (one entry
    a stage, say).
    """

    space: ClassVar[str]
    """What ``get_space`` takes to find this architecture's space: a built-in name or ``"module:Name"``."""

    def __post_init__(self) -> None:
        self.check_types()

    @abstractmethod
    def describe(self) -> Description:
        """Lower the knobs to the network's stem, blocks and head."""

    @cached_property
    def id(self) -> str:
        """12 hex digits that two architectures share exactly if they lower to the same network."""
        # the description, not the knobs: two settings that lower to one network are one
        description = canonical(self.describe()).encode()
        return hashlib.sha256(description).hexdigest()[:12]

    def to_dict(self) -> dict[str, object]:
        """JSON-safe knobs, and under ``space`` the name of the family; inverse of ``arch_from_dict``."""
        knobs = {field.name: getattr(self, field.name) for field in fields(self)}
        return {"space": self.space} | {
            # JSON has no tuples; from_dict makes them again
            k: list(v) if isinstance(v, tuple) else v
            for k, v in knobs.items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Self:
        """Inverse of ``to_dict``.

        Raises:
            ValueError: naming the field that is unknown, missing or wrong.
        """
        knobs = {name: value for name, value in values.items() if name != "space"}
        known = _field_types(cls)
        if unknown := sorted(str(name) for name in knobs.keys() - known):
            raise ValueError(
                f"{cls.__name__} has no field {unknown[0]!r}{nearest(unknown[0], known)}"
            )
        for field in fields(cls):
            if (
                field.name not in knobs
                and field.default is field.default_factory is MISSING
            ):
                raise ValueError(f"{cls.__name__} needs a field {field.name!r}")
        return cls(
            **{k: tuple(v) if isinstance(v, list) else v for k, v in knobs.items()}
        )

    def check_types(self) -> None:
        """Raise ``ValueError`` naming the first field of the wrong type; an int for a float becomes one."""
        for name, wanted in _field_types(type(self)).items():
            value = getattr(self, name)
            if not _is_a(value, wanted):
                raise ValueError(
                    f"{type(self).__name__}: {name} must be {_spell_type(wanted)}, got {brief(value)}"
                )
            if wanted is float:
                # the way past a frozen dataclass, before anyone has seen the value
                object.__setattr__(self, name, _as_float(value))
            elif wanted == tuple[float, ...]:
                object.__setattr__(self, name, tuple(map(_as_float, value)))


@cache
def _field_types(cls: type[Arch]) -> dict[str, object]:
    # annotations are strings (PEP 563); this evaluates them, once a class
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in fields(cls)}


def _is_a(value: Any, wanted: object) -> bool:
    items = get_args(wanted)
    if items and not isinstance(value, tuple):
        return False
    values = value if items else (value,)
    item = items[0] if items else wanted
    # exactly: to isinstance, True would be an int
    types = set(map(type, values))
    if item is not float:
        return types <= {item}
    # nan and inf fail the comparison; so does an int that no float can hold
    return types <= {int, float} and all(
        abs(number) <= sys.float_info.max for number in values
    )


def _as_float(value: float) -> float:
    return float(value) + 0.0  # -0.0 becomes 0.0: equal values are spelled alike


def brief(value: object) -> str:
    """``repr``, cut to a line; hostile values have none, or megabytes."""
    try:
        return f"{value!r:.80}"
    except (ValueError, RecursionError):
        return f"a value of type {type(value).__name__} that cannot be printed"


def _spell_type(wanted: Any) -> str:
    if items := get_args(wanted):
        return (
            "a list of finite numbers"
            if items[0] is float
            else f"a list of {items[0].__name__}"
        )
    return "a finite number" if wanted is float else f"of type {wanted.__name__}"


def canonical(part: object) -> str:
    """JSON text of a description that stays the same when a part gains a field with a default."""
    if isinstance(part, tuple):
        return "[" + ",".join(canonical(item) for item in part) + "]"
    if is_dataclass(part) and isinstance(part, Hashable):
        return _canonical_part(part)
    # what is equal is spelled alike, whichever of True, 1 and 1.0 the cache has met first
    return json.dumps(
        int(part)
        if isinstance(part, bool | float) and float(part).is_integer()
        else part
    )


@lru_cache(maxsize=100_000)
def _canonical_part(part: Any) -> str:
    cls = type(part)
    # a user's class is told apart by its module, so that another Stem is not taken for ours
    package = __name__.partition(".")[0]
    ours = cls.__module__.partition(".")[0] == package
    kind = cls.__qualname__ if ours else f"{cls.__module__}:{cls.__qualname__}"
    told = [
        f"{json.dumps(field.name)}:{canonical(getattr(part, field.name))}"
        for field in fields(part)
        # a field that is added later leaves the ids of all networks before it as they are
        if getattr(part, field.name) != field.default
    ]
    return "{" + ",".join([f'"kind":{json.dumps(kind)}', *told]) + "}"
