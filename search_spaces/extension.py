"""Names that users give: of what is built in, or of an object of their own as ``"module:Name"``."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pkgutil import resolve_name
from typing import Any

MOST_NEAR = 3


def import_named(name: str, kind: str, built_in: Iterable[str]) -> Any:
    """The object that ``name`` says; ``kind`` and ``built_in`` are for the error.

    Raises:
        ValueError: if ``name`` is not of the form ``module:Name``, or importing it fails in whatever way.
    """
    if ":" not in name:
        raise ValueError(
            f"unknown {kind} {name!r}{nearest(name, built_in)} (your own: module:Name)"
        )
    try:
        return resolve_name(name)
    # importing runs a stranger's file: anything may come out of it
    except Exception as error:
        raise ValueError(
            f"{kind} {name!r} cannot be imported: {type(error).__name__}: {error}"
        ) from error


def nearest(name: str, known: Iterable[str]) -> str:
    """What an unknown name may have meant, or else all that there are, to go after a message."""
    # upper and lower case are the commonest slip
    spelt = {each.lower(): each for each in known}
    if close := get_close_matches(name.lower(), spelt, n=MOST_NEAR):
        return f"; did you mean {' or '.join(spelt[each] for each in close)}?"
    return f"; there are {', '.join(spelt.values()) or 'none'}"
