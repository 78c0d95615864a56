"""Tables as files: exports to look at elsewhere, and snapshots that save replaying a long event log."""

import json
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from results import strict_json
from results.atomic import write_atomic
from results.runs.tables import Tables, fold_events

FOLD_VERSION = 1
"""Grows with every change of what ``tables.fold`` makes of a log: older snapshots are then not used."""
_KEY = b"splitsearch"

Stamp = tuple[int, float]
"""Number and time of the newest event in the tables."""


def write_table(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table as .csv, .parquet, .json (a list of rows) or .xlsx, by the file's suffix, in one step."""
    path = Path(path)
    match path.suffix:
        case ".csv":
            write_atomic(path, table.to_csv(index=False))
        case ".json":
            times = table.select_dtypes(["datetime", "datetimetz"]).columns
            rows = table.astype(dict.fromkeys(times, "string")).to_dict("records")
            write_atomic(path, strict_json.dumps(rows) + "\n")
        case ".parquet":
            write_atomic(path, table.to_parquet(index=False))
        case ".xlsx":
            write_atomic(path, _workbook(table))
        case suffix:
            raise ValueError(
                f"{path}: {suffix or 'no suffix'} is no format of tables; .csv, .parquet, .json or .xlsx is"
            )


def _workbook(table: pd.DataFrame) -> bytes:
    """An Excel file; its times are UTC, since Excel knows no time zones."""
    try:
        from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
    except ImportError as error:
        raise ImportError(
            "tables as .xlsx need openpyxl: pip install 'splitsearch[excel]'"
        ) from error

    def cell(value: object) -> object:
        if isinstance(value, pd.Timestamp) and value.tzinfo:
            return value.tz_convert("UTC").tz_localize(None)
        if not isinstance(value, str):
            return value
        text = ILLEGAL_CHARACTERS_RE.sub("", value)
        # Excel would take a text that begins so for a formula.
        return f"'{text}" if text.startswith("=") else text

    columns = {}
    for name, column in table.items():
        if isinstance(column.dtype, pd.DatetimeTZDtype):
            column = column.dt.tz_convert("UTC").dt.tz_localize(None)
        elif not pd.api.types.is_numeric_dtype(column):
            column = column.map(cell, na_action="ignore")
        columns[cell(name)] = column
    file = BytesIO()
    pd.DataFrame(columns).to_excel(file, index=False, engine="openpyxl")
    return file.getvalue()


def write_snapshot(
    folder: Path, tables: Tables, stamp: Stamp | None, facts: Mapping[str, object]
) -> None:
    """Write every table as parquet, and into each the event it goes up to and ``facts`` about the run.

    ``stamp`` None marks tables that are not all of their log: they are never taken for it.
    """
    # the same in every table: so a reader sees whether they belong together
    note = {
        "fold": FOLD_VERSION,
        "stamp": stamp,
        "facts": facts,
        "retrained": len(tables.retrained),
    }
    for name, table in tables._asdict().items():
        if name != "retrained" or len(table):
            write_atomic(
                folder / f"{name}.parquet", _parquet(table, strict_json.dumps(note))
            )


def read_snapshot(
    folder: Path, stamp: Stamp | None
) -> tuple[Tables, dict[str, Any]] | None:
    """The tables and facts written for the log that ends with ``stamp``; None if there are none, or not whole.

    Without a ``stamp`` those of any log.
    """
    note = _note(folder / "trials.parquet")
    if note is None or note.get("fold") != FOLD_VERSION:
        return None
    if stamp is not None and note.get("stamp") != list(stamp):
        return None
    found = {"trials": note, "epochs": _note(folder / "epochs.parquet")}
    if note["retrained"]:
        found["retrained"] = _note(folder / "retrained.parquet")
    # A kill between two of the files leaves tables of two moments.
    if any(other != note for other in found.values()):
        return None
    try:
        tables = {name: pd.read_parquet(folder / f"{name}.parquet") for name in found}
    except (OSError, pa.ArrowException):
        return None
    return Tables(**{"retrained": fold_events([]).retrained, **tables}), note["facts"]


def _parquet(table: pd.DataFrame, note: str) -> bytes:
    content = pa.Table.from_pandas(table)
    file = BytesIO()
    pq.write_table(
        # in the file itself: a note beside it could be of another moment
        content.replace_schema_metadata(
            {**content.schema.metadata, _KEY: note.encode()}
        ),
        file,
    )
    return file.getvalue()


def _note(path: Path) -> dict[str, Any] | None:
    try:
        metadata = pq.read_schema(path).metadata or {}
        note = json.loads(metadata[_KEY])
    except (OSError, pa.ArrowException, KeyError, ValueError):
        return None
    return note if isinstance(note, dict) else None
