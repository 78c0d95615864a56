"""How numbers and metrics read to a person."""

from math import floor, log10
from numbers import Integral
from typing import Any

import pandas as pd

from results.metrics import metric as about

_MISSING = "\N{EN DASH}"
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def scale(metric: str) -> float:
    """What to multiply a stored value with to show it: fractions are shown as percentages."""
    return 100.0 if about(metric).unit == "fraction" else 1.0


def name_of(metric: str) -> str:
    """What a person calls it."""
    return about(metric).label or metric


def label(metric: str) -> str:
    """The name of a metric with its unit, for an axis or a column."""
    unit = (
        "%"
        if scale(metric) != 1
        else ""
        if about(metric).logarithmic
        else about(metric).unit
    )
    return f"{name_of(metric)}{unit and f' ({unit})'}"


def number(metric: str, value: Any) -> str:
    """A value of a metric, without its unit: four digits, counts with an SI prefix, a dash where missing."""
    if pd.isna(value):
        return _MISSING
    if isinstance(value, Integral) and not about(metric).logarithmic:
        return str(value)
    value = float(value) * scale(metric)
    if about(metric).logarithmic:
        factor, prefix = next(
            ((size, sign) for size, sign in _PREFIXES if abs(value) >= size), (1.0, "")
        )
        return f"{value / factor:.4g} {prefix}".strip()
    if value and not 1e-4 <= abs(value) < 1e6:
        return f"{value:.3e}"
    # four significant digits: 3 after the first one
    magnitude = floor(log10(abs(value))) if value else 3
    decimals = max(0, 3 - magnitude)
    return f"{value:.{min(decimals, 2 if scale(metric) != 1 else 6)}f}"


def with_unit(metric: str, value: object) -> str:
    """For example "accuracy 97.2 %", "latency 3.1 ms", "1.8 G FLOPs"."""
    if about(metric).logarithmic:
        return f"{number(metric, value)} {name_of(metric)}"
    unit = "%" if scale(metric) != 1 else about(metric).unit
    return f"{name_of(metric)} {number(metric, value)} {unit}".strip()


def duration(seconds: float) -> str:
    """For example "4 min 12 s"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def counted(count: int, noun: str) -> str:
    """For example "1 network", "2 networks"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
