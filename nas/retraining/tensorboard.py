"""Epochs as TensorBoard shows them."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from tensorboardX import SummaryWriter

from evaluators import Metrics


class Board:
    """Writes the numbers of epochs to an event file in ``folder``, instead of what is there."""

    def __init__(self, folder: Path, history: Iterable[Metrics]) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self._writer = SummaryWriter(str(folder))
        for metrics in history:
            self.add(metrics)

    def add(self, metrics: Metrics) -> None:
        for name, value in metrics.items():
            if isinstance(value, int | float) and name != "epoch":
                self._writer.add_scalar(name, value, metrics["epoch"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._writer.close()
