from collections.abc import Callable

import pytest

from results import EventLog, load_run
from results.runs.summary import summary


def sentences(log: EventLog) -> list[str]:
    run = load_run(log.path.parent)
    return [line for line in summary(run, run.front()) if "Validation" in line]


@pytest.mark.parametrize("told", [True, False])
def test_what_validating_cost_a_trial(
    log: EventLog,
    start: Callable[..., None],
    add: Callable[..., None],
    told: bool,
) -> None:
    start()
    add(0, accuracies=(0.5,), flops=100, latency_ms=2.0)
    add(1, flops=200, latency_ms=3.0)
    # 10 and 1 seconds of one trial, 20 and 4 of the other; the first epoch of trial 0 does not tell
    for trial, epoch, seconds, validating in (
        (0, 2, 4, 0.5),
        (0, 3, 6, 0.5),
        (1, 1, 20, 4),
    ):
        clocks = {"seconds": seconds}
        if told:
            clocks["validation_seconds"] = validating
        log.append("epoch", trial, epoch=epoch, accuracy=0.6, **clocks)
    for trial in (0, 1):
        log.append("finished", trial, status="complete", error=None)
    expected = ["Validation took 2.5 of the 15.0 seconds that a trial trained."]
    assert sentences(log) == (expected if told else [])
