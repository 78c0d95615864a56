"""Settings that check themselves: what a field may hold is said once, at the field.

The annotation gives the type and ``Annotated[int, Bounds(ge=1, unit="epochs")]`` the range. ``check`` holds a
value to both, strictly: no text is a number, no number a truth value. ``from_values`` builds the same settings
from plain mappings and lists, such as YAML's, under the same rules.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    ClassVar,
    Literal,
    Protocol,
    TypeGuard,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from search_spaces.extension import nearest


class Settings(Protocol):
    """Any dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


S = TypeVar("S", bound=Settings)

WORDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
LARGEST_FLOAT = sys.float_info.max
"""A greater whole number is no float."""
TYPES = {
    bool: "true or false",
    int: "a whole number",
    float: "a finite number",
    str: "a text",
}


@dataclass(frozen=True)
class Bounds:
    """The range of a number; ``unit`` is for the reader, as is ``why`` in the message."""

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    unit: str = ""
    why: str = ""

    def holds(self, value: float) -> bool:
        return (
            (self.ge is None or value >= self.ge)
            and (self.gt is None or value > self.gt)
            and (self.le is None or value <= self.le)
            and (self.lt is None or value < self.lt)
        )

    def __str__(self) -> str:
        ends = [(word, getattr(self, name)) for name, word in WORDS.items()]
        known = [f"{word} {end:g}" for word, end in ends if end is not None]
        return " and ".join(known) + self.why


class FieldError(ValueError):
    """A setting that will not do: ``path`` names it inside ``owner``, ``problem`` says what would be right."""

    def __init__(self, owner: str, path: Iterable[str], problem: str) -> None:
        self.owner = owner
        self.path = tuple(path)
        self.problem = problem
        super().__init__(owner, self.path, problem)  # all three, for pickle

    def __str__(self) -> str:
        return f"{'.'.join((self.owner, *self.path))}: {self.problem}"


def check(settings: Settings) -> None:
    """Hold every field to its annotation; for ``__post_init__``.

    Raises:
        FieldError: naming the first field that is wrong.
    """
    for name, annotation in field_types(type(settings)).items():
        value = getattr(settings, name)
        if wanted := _wanted(annotation, value):
            require(settings, name, False, wanted)


def require(settings: Settings, name: str, holds: bool, wanted: str) -> None:
    """Refuse the field unless ``holds``: it must be ``wanted``. For rules between fields."""
    if not holds:
        value = getattr(settings, name)
        raise FieldError(
            type(settings).__name__, (name,), f"must be {wanted}, got {value!r:.80}"
        )


def from_values(kind: type[S], values: object) -> S:
    """Settings of the dataclass ``kind`` from a mapping of plain values, or such settings as they are.

    Raises:
        FieldError: naming the first field that is wrong or unknown.
    """
    if isinstance(values, kind):
        return values
    if not isinstance(values, Mapping):
        raise FieldError(
            kind.__name__, (), f"must be a mapping of settings, got {values!r:.80}"
        )
    known = field_types(kind)
    for name in values:
        if name not in known:
            raise FieldError(
                kind.__name__, (str(name),), f"unknown key{nearest(str(name), known)}"
            )
    made = {
        name: _made(kind, name, known[name], value) for name, value in values.items()
    }
    return kind(**made)


@cache
def field_types(kind: type[Settings]) -> dict[str, Any]:
    """Type and bounds of every field that ``kind`` is made with."""
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: hints[field.name] for field in fields(kind) if field.init}


def _made(kind: type[Settings], name: str, annotation: object, value: object) -> object:
    """``value`` as the field wants it: nested settings from a mapping, a tuple from a list."""
    # of a union the first choice that can be made from the value
    for choice in _choices(annotation):
        if (
            is_dataclass(choice)
            and isinstance(choice, type)
            and isinstance(value, Mapping)
        ):
            try:
                return from_values(choice, value)
            except FieldError as error:
                raise FieldError(
                    kind.__name__, (name, *error.path), error.problem
                ) from error
        if get_origin(choice) is tuple and isinstance(value, list):
            return tuple(value)
    return value


def _choices(annotation: object) -> tuple[Any, ...]:
    """The types that an annotation lets a value have, bounds left out."""
    if get_origin(annotation) is Annotated:
        return _choices(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return tuple(
            choice for part in get_args(annotation) for choice in _choices(part)
        )
    return (annotation,)


def _wanted(annotation: object, value: object) -> str | None:
    """What ``value`` must be, in words; None if it is that."""
    bounds = _bounds(annotation)
    choices = _choices(annotation)
    if value is None and NoneType in choices:
        return None
    typed = any(_fits(choice, value) for choice in choices)
    number = value if isinstance(value, int | float) else None
    if typed and (bounds is None or (number is not None and bounds.holds(number))):
        return None
    words = [_named(choice) for choice in choices if choice is not NoneType]
    # of the right type, so it is the range that it misses
    words = [str(bounds)] if typed else words
    return " or ".join([*words, "null"] if NoneType in choices else words)


def _bounds(annotation: object) -> Bounds | None:
    found = [extra for extra in get_args(annotation)[1:] if isinstance(extra, Bounds)]
    return found[0] if get_origin(annotation) is Annotated and found else None


def _fits(choice: Any, value: object) -> bool:
    if get_origin(choice) is Literal:
        return isinstance(value, str) and value in get_args(choice)
    if get_origin(choice) is tuple:
        kinds = get_args(choice)
        return (
            isinstance(value, tuple)
            and len(value) == len(kinds)
            and all(map(_fits, kinds, value))
        )
    if choice is float:
        return _is_number(value) and abs(value) <= LARGEST_FLOAT  # which NaN is not
    # bool is a subclass of int, and true is no number of epochs
    if choice is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, choice)


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _named(choice: Any) -> str:
    if get_origin(choice) is Literal:
        return " or ".join(map(str, get_args(choice)))
    if get_origin(choice) is tuple:
        return (
            f"{len(get_args(choice))} whole numbers"
            if set(get_args(choice)) == {int}
            else "a list"
        )
    return TYPES.get(
        choice,
        f"settings of {choice.__name__}" if isinstance(choice, type) else str(choice),
    )
