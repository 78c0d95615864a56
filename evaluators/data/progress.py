"""How a caller hears of work that takes a while."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is, and how much there is (0: unknown)."""


def silent(what: str, done: int, total: int) -> None:
    """For whoever does not want to hear of it."""
