"""Parameters of statistics, checked: one clear line instead of an error from deep below."""

from collections.abc import Iterable
from numbers import Integral, Real


def check_share(name: str, value: object) -> None:
    """Raises ``ValueError`` unless it lies between 0 and 1, both excluded."""
    if not isinstance(value, Real) or not 0 < float(value) < 1:
        raise ValueError(f"{name} must lie between 0 and 1, such as 0.95, not {value}")


def check_count(name: str, value: object, least: int = 1) -> None:
    """Raises ``ValueError`` unless it is a whole number of at least ``least``."""
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or int(str(value)) < least:
        raise ValueError(
            f"{name} must be a whole number of at least {least}, not {value}"
        )


def check_each(name: str, values: object, least: float, most: float) -> None:
    """Raises ``ValueError`` unless it is a sequence of numbers from ``least`` to ``most``."""
    if not isinstance(values, Iterable) or isinstance(values, str):
        raise ValueError(
            f"{name} must be several numbers, such as a tuple, not {values}"
        )
    for value in values:
        if not isinstance(value, Real) or not least <= float(value) <= most:
            raise ValueError(f"{name} must lie from {least:g} to {most:g}, not {value}")
