"""What the tests of retraining share: a small network, digits, and the command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from click.testing import CliRunner, Result

import nas
import run_search
from evaluators import (
    Metrics,
)
from nas.retraining.result import RetrainingResult
from results.metrics import CLOCKS
from search_spaces import ResNeSt

SMALL = ResNeSt(depths=(1, 1, 1, 1), widths=(8, 8, 8, 16), stem_width=8, radix=2)


QUICK = ("epochs=3", "data.subset=400", "batch_size=64")


def train(
    source: Path | None, out: Path, *more: str, **options: Any
) -> RetrainingResult:
    settings = {"overrides": (*QUICK, *more) if source else more}
    data = {"data": "digits"} if source and source.name == "arch.json" else {}
    options = ({"engine": "serial"} if source else {}) | options
    return nas.retrain(source, out, **settings | data | options)


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(run_search.main, ["retrain", *map(str, arguments)])


def refusal(*arguments: str | Path) -> str:
    result = invoke(*arguments)
    assert result.exit_code == 2, result.output
    (line,) = [line for line in result.output.splitlines() if line]
    return line


def comparable(epochs: pd.DataFrame) -> pd.DataFrame:
    return epochs.drop(columns=[*CLOCKS])


class StoppedError(Exception):
    pass


def stop_after(epoch: int) -> Any:
    def on_epoch(seed: int, epochs: int, metrics: Metrics) -> None:
        if metrics["epoch"] == epoch:
            raise StoppedError

    return on_epoch
