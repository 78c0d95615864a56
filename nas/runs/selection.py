"""The final pick of a run as a file that retraining takes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from nas.config.pairs import split_pair
from results import Run, Selection, write_atomic
from results.metrics import is_knob
from results.strict_json import dumps

RETRAINING = ("space", "data", "training", "seed")
"""Settings of the search that say how its networks were trained."""


def read_choice(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the command line as arguments of ``results.select``; ``ValueError`` names a bad one."""
    choice = dict(options)
    for name in ("under", "over", "near"):
        choice[name] = dict(_pair(f"--{name}", text) for text in choice[name])
    if choice["buckets"]:
        text = choice["buckets"]
        name, edges = split_pair(
            text, f"--buckets {text}:", "METRIC=A,B,…, e.g. latency_ms=5,10"
        )
        choice["buckets"] = {
            name: [_number("--buckets", edge) for edge in edges.split(",")]
        }
    return choice


def check_suffix(out: Path) -> None:
    if out.suffix != ".json":
        raise ValueError(f"--out {out}: a .json file is needed")


def write_selection(selection: Selection, run: Run, out: Path) -> list[Path]:
    """Write each network picked to ``out``; several as ``NAME-1.json``, ``NAME-2.json``, …, in their order.
    A missing folder is made.

    A file holds ``arch``, ``arch_id``, ``trial``, ``metrics``, ``why``, the ``run`` and of its settings those
    that say how it was trained (``config``).
    """
    check_suffix(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    several = len(selection.rows) > 1
    paths = []
    for place in range(len(selection.rows)):
        # a file a network, since retrain takes one
        one = Selection(selection.rows.iloc[[place]], selection.why)
        path = out.with_stem(f"{out.stem}-{place + 1}") if several else out
        write_atomic(path, dumps(_content(one, run), indent=2) + "\n")
        paths.append(path)
    return paths


def _content(selection: Selection, run: Run) -> dict[str, Any]:
    row = selection.row
    numeric = selection.rows.select_dtypes("number").columns
    # numbers that measure nothing: which trial it was, and what the network is
    labels = {"trial", "seed", *filter(is_knob, numeric)}
    metrics = [name for name in numeric if name not in labels]
    return {
        "arch": selection.arch,
        "arch_id": row["arch_id"],
        "trial": row["trial"],
        "metrics": {name: row[name] for name in metrics if pd.notna(row[name])},
        "device": row["device"],
        "why": selection.why,
        "run": run.url or str(run.path),
        "config": {key: run.config[key] for key in RETRAINING if key in run.config},
    }


def _pair(option: str, text: str) -> tuple[str, float]:
    name, value = split_pair(
        text, f"{option} {text}:", "METRIC=VALUE, e.g. latency_ms=5"
    )
    return name, _number(option, value)


def _number(option: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{option}: {text!r} is no number") from None
