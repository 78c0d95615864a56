from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from results import EventLog

OBJECTIVES = {"accuracy": "max", "latency_ms": "min", "flops": "min"}


@pytest.fixture
def log(tmp_path: Path) -> EventLog:
    """An open log in an empty run folder, whose clock ticks a second per event."""
    folder = tmp_path / "run"
    folder.mkdir()
    ticks = count(1_760_000_000)
    with EventLog(folder / "events.db", clock=lambda: float(next(ticks))) as log:
        yield log


@pytest.fixture
def start(log: EventLog) -> Callable[..., None]:
    def start(**config: Any) -> None:
        log.append(
            "search_started", config={"data": "digits", **config}, objectives=OBJECTIVES
        )

    return start


@pytest.fixture
def add(log: EventLog) -> Callable[..., None]:
    """Append a whole trial; without a status it stays running."""

    def add(
        trial: int,
        *,
        accuracies: tuple[float, ...] = (),
        status: str = "",
        **measures: Any,
    ) -> None:
        knobs = {"radix": 2, "stem": "deep"}
        log.append(
            "proposed",
            trial,
            arch_id=f"id{trial}",
            space="resnest",
            arch=knobs,
            knobs=knobs,
            seed=trial,
        )
        error = measures.pop("error", None)
        log.append("measured", trial, **measures)
        for epoch, accuracy in enumerate(accuracies, start=1):
            log.append(
                "epoch", trial, epoch=epoch, accuracy=accuracy, train_loss=1.0 / epoch
            )
        if status:
            log.append("finished", trial, status=status, error=error)

    return add
