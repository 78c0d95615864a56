"""Knobs: what they may be set to, and a trial that sets them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol, TypeVar, cast

from search_spaces.arch import brief
from search_spaces.grid import Grid

KnobValue = bool | int | float | str
"""What a knob can be set to; a trial knows each by its name."""
Knobs = dict[str, KnobValue]
"""The settings of one architecture: flat, named as the space asks a trial for them."""
ValueT = TypeVar("ValueT", bound=KnobValue)


class Trial(Protocol):
    """The part of Optuna's trial that spaces use; ``optuna.Trial`` and ``FixedTrial`` both serve."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1) -> int: ...

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None
    ) -> float: ...

    # None because Optuna's trial may say so; it never does where None is not offered
    def suggest_categorical(
        self, name: str, choices: Sequence[KnobValue]
    ) -> KnobValue | None: ...


def choose(trial: Trial, name: str, choices: Sequence[ValueT]) -> ValueT:
    """Let ``trial`` pick: a grid or evenly spaced ints as an ordered range, anything else as a category."""
    # what cannot vary is no knob: samplers would only learn that it does nothing
    if len(choices) == 1:
        return choices[0]
    if isinstance(choices, Grid):
        value = trial.suggest_float(name, choices.low, choices.high, step=choices.step)
        # low + n * step in binary floats is 0.30000000000000004; the grid has 0.3
        return cast("ValueT", choices.nearest(value))
    if (step := even_step(choices)) > 0:
        low = int(choices[0])
        high = int(choices[-1])
        number = trial.suggest_int(name, low, high, step=step)
        return cast("ValueT", number)
    return cast("ValueT", trial.suggest_categorical(name, choices))


def even_step(choices: Sequence[KnobValue]) -> int:
    """The distance between neighbours if all are ints and equally far apart, else 0."""
    if isinstance(choices, range):
        return choices.step
    # a bool is an int to isinstance, but (False, True) is a category
    if len(choices) < 2 or set(map(type, choices)) != {int}:
        return 0
    first = int(choices[0])
    second = int(choices[1])
    last = int(choices[-1])
    step = second - first
    if step > 0 and tuple(choices) == tuple(range(first, last + 1, step)):
        return step
    return 0


def check_knob(
    owner: str, name: str, value: object, legal: Collection[KnobValue]
) -> None:
    """Raise ``ValueError`` naming the knob unless ``value`` is legal."""
    # 1 == True == 1.0 in Python, but the three are different settings
    if type(value) is not type(next(iter(legal))) or value not in legal:
        raise ValueError(
            f"{owner}: {name} must be {spell_values(legal)}, got {brief(value)}"
        )


def spell_values(legal: Collection[KnobValue]) -> str:
    """The legal values in words: ``0, 1, 2 or 4``; ``8 to 512 in steps of 8``."""
    values = legal if isinstance(legal, Grid) else list(legal)
    step = values.step if isinstance(values, Grid) else even_step(values)
    if len(values) > 5 and step > 0:
        steps = "" if step == 1 else f" in steps of {step}"
        return f"{values[0]} to {values[-1]}{steps}"
    # as YAML writes them, from where most settings come
    words = [
        str(value).lower() if isinstance(value, bool) else str(value)
        for value in values
    ]
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last
