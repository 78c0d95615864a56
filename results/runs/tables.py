"""The tables of trials, epochs and retrainings: an event log, folded."""

import json
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import pandas as pd

from results import strict_json
from results.log.events import Event, Proposed
from results.log.record import TrialRecord, records
from results.metrics import (
    CLOCKS,
    EPOCH_COLUMNS,
    METRICS,
    RETRAINED_COLUMNS,
    TRIAL_COLUMNS,
    is_knob,
    knob_column,
    metric,
    units,
)


class Tables(NamedTuple):
    """``trials`` a row per trial, ``epochs`` per epoch of one, ``retrained`` per full training and its test."""

    trials: pd.DataFrame
    epochs: pd.DataFrame
    retrained: pd.DataFrame


def _row(record: TrialRecord, metrics: Collection[str]) -> dict[str, Any]:
    """A trial as a row of the table; of what is told every epoch, accuracy and the ``metrics``, as last told."""
    last = record.epochs[-1] if record.epochs else {}
    of_epochs = {*EPOCH_COLUMNS, *CLOCKS} - {"accuracy", *metrics}
    # seconds and losses of one epoch are not those of the trial
    learned = {name: value for name, value in last.items() if name not in of_epochs}
    return {
        **(_identity(record.proposal) if record.proposal else {}),
        **record.measured,
        **learned,
        "trial": record.number,
        # paused and interrupted are for the controller; a table says over or not
        "status": str(record.status) if record.status.over else "running",
        "error": record.error,
        "epochs": len(record.epochs),
        "seconds": _between(record.started, record.finished),
        "started": record.started,
        "finished": record.finished,
    }


def _identity(proposal: Proposed) -> dict[str, Any]:
    """Which network it is, with its knobs and the architecture as JSON."""
    names = ("arch_id", "space", "seed")
    facts = {name: getattr(proposal, name) for name in names}
    # The column is there only where some trial was answered by another.
    if proposal.duplicate_of is not None:
        facts["duplicate_of"] = proposal.duplicate_of
    set_to = proposal.knobs or {}
    knobs = {knob_column(name): value for name, value in set_to.items()}
    arch = None if proposal.arch is None else json.dumps(proposal.arch)
    return facts | knobs | {"arch": arch}


def _between(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else end - start


def fold_events(events: Iterable[Event], metrics: Iterable[str] = ()) -> Tables:
    """The tables that a log amounts to; ``attrs["units"]`` of each names the units.

    Standard columns are always there, in the order of ``TRIAL_COLUMNS``, ``EPOCH_COLUMNS`` and
    ``RETRAINED_COLUMNS``; metrics of a user's own evaluator follow, then ``arch.<knob>`` and ``training.<knob>``,
    then ``arch``.
    Missing values are NA; accuracy is that of the last epoch. ``metrics`` have a column even before anything
    measured them. Raises ``ValueError`` for an event that lacks what its kind needs.
    """
    events = list(events)
    found = records(events)
    metrics = list(metrics)
    rows = [_row(record, metrics) for record in found.values()]
    history = [
        {"trial": number, **epoch}
        for number, record in found.items()
        for epoch in record.epochs
    ]
    retrained = [
        {**event.data, "trial": event.trial, "finished": event.time}
        for event in events
        if event.kind == "retrained"
    ]
    others = [*metrics, *_further(rows, TRIAL_COLUMNS)]
    extra = [name for name in others if not is_knob(name) and name != "arch"]
    knobs = filter(is_knob, others)
    # What a user's evaluator measures stands between the standard columns and the knobs.
    columns = dict.fromkeys([*TRIAL_COLUMNS, *extra, *knobs, "arch"])
    return Tables(
        _table(rows, list(columns)),
        _table(history, [*EPOCH_COLUMNS, *_further(history, EPOCH_COLUMNS)]),
        _table(
            retrained, [*RETRAINED_COLUMNS, *_further(retrained, RETRAINED_COLUMNS)]
        ),
    )


def _further(
    rows: Iterable[Mapping[str, object]], columns: Collection[str]
) -> list[str]:
    """The names in rows that are not among the standard ``columns``, in order of first sight."""
    return list(
        dict.fromkeys(name for row in rows for name in row if name not in columns)
    )


def _table(rows: list[dict[str, object]], columns: list[str]) -> pd.DataFrame:
    table = pd.DataFrame(
        {name: _column(name, [row.get(name) for row in rows]) for name in columns}
    )
    table.attrs["units"] = units(columns)
    return table


def _column(name: str, values: list[Any]) -> "pd.Series[Any]":
    """One column in its dtype: knobs and a user's metrics are inferred, standard columns are fixed."""
    kind = metric(name).kind
    if kind == "time":
        seconds = pd.Series(values, dtype="float64")
        return pd.to_datetime(seconds, unit="s", utc=True)
    if kind == "text":
        return pd.Series(values, dtype="string")
    if kind == "count":
        # a user's evaluator may well estimate, say, 0.5 MAC: then the column is float64
        with suppress(TypeError):
            # Int64, not int64: it can be missing
            return pd.Series(pd.array(values, dtype="Int64"))
    elif name not in METRICS:
        return _inferred(values, knob=is_knob(name))
    return pd.Series(values, dtype="float64")


def _inferred(values: list[object], *, knob: bool) -> "pd.Series[Any]":
    column = pd.Series(values, dtype="object").convert_dtypes()
    if pd.api.types.is_bool_dtype(column) or (
        knob and pd.api.types.is_integer_dtype(column)
    ):
        return column
    if pd.api.types.is_numeric_dtype(column) or (not knob and column.isna().all()):
        return column.astype("float64")
    # Lists and mixed types have no column type in parquet.
    return column.map(_as_text, na_action="ignore").astype("string")


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else strict_json.dumps(value)
