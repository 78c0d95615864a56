"""JSON that every parser reads: no NaN, no infinities, no lone surrogates, no numpy scalars."""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

JsonObject = dict[str, object]
"""What becomes an object of JSON."""


def dumps(value: object, *, indent: int | None = None) -> str:
    """``value`` as strict JSON text; NaN, infinities and the missing values of pandas become ``null``.

    Raises ``TypeError`` for a type that JSON does not have.
    """
    return json.dumps(_plain(value), indent=indent, allow_nan=False)


def _plain(value: object) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        return {_text(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return _text(value)
    if (
        value is pd.NA
        or value is pd.NaT
        or (isinstance(value, float) and not math.isfinite(value))
    ):
        return None
    return value


def _text(text: str) -> str:
    """Error messages may hold undecodable bytes as lone surrogates, which parquet and HTML cannot."""
    return text.encode(errors="replace").decode()
