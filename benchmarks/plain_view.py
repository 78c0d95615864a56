"""What the plain view of a search costs per finished trial, as trials pile up; before and after, in one process.

    python benchmarks/plain_view.py
    python benchmarks/plain_view.py --trials 100000 --front    # every network on the front: the worst case

CPU milliseconds of a finished trial's line, the mean of a hundred, when so many have finished. `before` works
out the front and its volume anew from a table of all trials, as the view did once; `now` is the view as it is.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Iterator

import numpy as np
import pandas as pd
from rich.console import Console

from nas.cli.views.search import SearchView
from nas.config.schema import SearchConfig
from results import Event, TrialStatus, hypervolume, pareto_front
from results.log.events import Content, Finished, Measured, Proposed
from results.log.record import TrialRecord

SAMPLE = 100


class TableView(SearchView):
    """The view of before: a table of all complete trials, gone through whenever one ends."""

    def __init__(self, config: SearchConfig, console: Console) -> None:
        super().__init__(config, console)
        self._complete: list[dict[str, object]] = []

    def _add(self, record: TrialRecord) -> None:
        self._complete.append(record.metrics)

    def _measured_front(self) -> tuple[int, float]:
        objectives = self._config.objectives
        table = pd.DataFrame(
            [{name: row[name] for name in objectives} for row in self._complete]
        )
        assert self._config.reference_point
        front = pareto_front(table, objectives)
        return len(front), hypervolume(table, objectives, self._config.reference_point)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=30_000)
    parser.add_argument(
        "--front", action="store_true", help="each network trades the objectives"
    )
    options = parser.parse_args()
    config = SearchConfig(
        objectives={"accuracy": "max", "flops": "min", "latency_ms": "min"},
        reference_point={"accuracy": 0.0, "flops": 1e10, "latency_ms": 100.0},
        trials=10**6,
    )
    numbers = metrics(options.trials, options.front)
    views = {name: view(config, Console(file=io.StringIO(), width=100))
             for name, view in (("before", TableView), ("now", SearchView))}  # fmt: skip
    print(f"{'finished':>9}  {'before':>9}  {'now':>9}  {'front':>6}")
    done = 0
    while done < options.trials:
        skipped = min(4 * done, options.trials - SAMPLE) - done
        for view in views.values():
            # told in silence, as what an earlier run did is
            view.recall(events(done, numbers[done : done + max(0, skipped)]))
        done += max(0, skipped)
        spent = [cost(view, done, numbers) for view in views.values()]
        done += SAMPLE
        front = views["now"]._measured_front()
        assert front == views["before"]._measured_front()
        print(f"{done:9}  {spent[0]:6.2f} ms  {spent[1]:6.2f} ms  {front[0]:6}")


def metrics(trials: int, all_on_front: bool) -> list[dict[str, float]]:
    """Networks whose accuracy grows with their size, more or less; not less at all if ``all_on_front``."""
    rng = np.random.default_rng(0)
    size = rng.uniform(0.1, 1.0, trials)
    noise = 0.0 if all_on_front else 0.05
    accuracy = 0.5 + 0.4 * size**0.5 + noise * rng.standard_normal(trials)
    latency = 50.0 * size * np.exp(noise * rng.standard_normal(trials))
    return [
        {"accuracy": a, "flops": s * 4e9, "latency_ms": t}
        for a, s, t in zip(
            accuracy.tolist(), size.tolist(), latency.tolist(), strict=True
        )
    ]


def events(first: int, numbers: list[dict[str, float]]) -> Iterator[Event]:
    """The least that a trial leaves in the log."""
    for trial, row in enumerate(numbers, start=first):
        contents: tuple[Content, ...] = (
            Proposed(trial, "0123456789"),
            Measured(trial, row),
            Finished(trial, TrialStatus.COMPLETE),
        )
        for content in contents:
            yield Event(0, float(trial), content.KIND, trial, content.data())


def cost(view: SearchView, done: int, numbers: list[dict[str, float]]) -> float:
    """Milliseconds of CPU per trial."""
    news = list(events(done, numbers[done : done + SAMPLE]))
    began = time.process_time()
    for event in news:
        view(event)
    return (time.process_time() - began) * 1000 / SAMPLE


if __name__ == "__main__":
    main()
