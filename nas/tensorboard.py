"""Epochs as TensorBoard shows them."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from tensorboardX import SummaryWriter

from evaluators import Metrics


class Board:
    """Writes the numbers of epochs to event files in ``folder``; those after ``epochs`` are written anew."""

    def __init__(self, folder: Path, epochs: int) -> None:
        self._writer = SummaryWriter(str(folder), purge_step=epochs + 1 if epochs else None)
        self._done = epochs

    def add(self, metrics: Metrics) -> None:
        epoch = int(metrics["epoch"])
        if epoch > self._done:
            for name, value in metrics.items():
                if isinstance(value, int | float) and name != "epoch":
                    self._writer.add_scalar(name, value, epoch)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
