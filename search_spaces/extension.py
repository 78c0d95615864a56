"""What users bring along: objects named ``"module:Name"``."""

from __future__ import annotations

from collections.abc import Iterable
from pkgutil import resolve_name
from typing import Any


def import_named(name: str, kind: str, built_in: Iterable[str]) -> Any:
    """The object that ``name`` says; ``kind`` and ``built_in`` are for the error.

    Raises:
        ValueError: if ``name`` is not of the form ``module:Name``, or importing it fails in whatever way.
    """
    if ":" not in name:
        raise ValueError(
            f"unknown {kind} {name!r}; built in: {', '.join(built_in)}; your own: module:Name"
        )
    try:
        return resolve_name(name)
    # importing runs a stranger's file: anything may come out of it
    except Exception as error:
        raise ValueError(
            f"{kind} {name!r} cannot be imported: {type(error).__name__}: {error}"
        ) from error
