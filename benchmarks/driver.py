"""What a driver can take: its real code before 1,000 simulated workers, on a disk that syncs slowly.

    python benchmarks/driver.py --workers 1000 --minutes 10
    python benchmarks/driver.py --workers 10000 --minutes 2 --one-by-one    # a commit per result

Controller, sampler, stopper, log and plain view are the real ones, on a real file. Workers are simulated: they
tell costs, a latency, and epochs of about a minute with accuracies by formula. Time is virtual: it is the CPU
time of the driver, ``--sync`` seconds a commit, and waiting for workers. Ray is left out: its share is that of
``ray.wait`` and Tune's bookkeeping.
"""

from __future__ import annotations

import argparse
import heapq
import io
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from rich.console import Console

from nas.budget import Budget
from nas.cli.views.search import SearchView
from nas.config.schema import SearchConfig
from nas.controller import Assignment, Controller
from nas.engines.turns import Turns
from nas.samplers.proposer import Proposer
from nas.samplers.registry import make_sampler
from nas.simulation.synthetic import SyntheticWorkload
from nas.stopper.asha import make_stopper
from results import EventLog
from results.log.events import SearchStarted
from search_spaces import get_space

EPOCHS = 9
OBJECTIVES = {"accuracy": "max", "flops": "min"}


class Meter:
    """The virtual clock, and what the driver's time went to."""

    def __init__(self) -> None:
        self.spent: Counter[str] = Counter()
        self._offset = -time.process_time()
        self._inside: list[str] = []

    def __call__(self) -> float:
        return time.process_time() + self._offset

    def wait(self, seconds: float) -> None:
        self._offset += seconds

    @contextmanager
    def count(self, what: str) -> Iterator[None]:
        """Time of its own, none of which counts for a ``count`` around it."""
        began, inner = self(), self.spent.total()
        try:
            yield
        finally:
            self.spent[what] += self() - began - (self.spent.total() - inner)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """What the simulation needs, and a driver does not."""
        began = time.process_time()
        try:
            yield
        finally:
            self._offset -= time.process_time() - began

    def watch(self, thing: Any, what: str, *names: str) -> None:
        """Count the methods ``names`` of ``thing``."""
        for name in names:
            setattr(thing, name, self._counted(getattr(thing, name), what))

    def _counted(self, method: Any, what: str) -> Any:
        def counted(*args: Any, **kwargs: Any) -> Any:
            with self.count(what):
                return method(*args, **kwargs)

        return counted


class SlowDisk(EventLog):
    """Every commit takes ``sync`` seconds of virtual time; it syncs nothing else."""

    def __init__(self, path: Path, meter: Meter, sync: float) -> None:
        super().__init__(path)
        self._connection.execute("PRAGMA synchronous = OFF")
        self._meter, self._sync, self.commits = meter, sync, 0

    def _execute(self, statement: str, row: Any = ()) -> Any:
        with self._meter.count("log"):
            changed = self._connection.total_changes
            result = super()._execute(statement, row)
        if statement == "BEGIN IMMEDIATE":
            self._before = changed
        elif statement == "COMMIT" and changed > self._before:
            self.commits += 1
            with self._meter.count("sync"):
                self._meter.wait(self._sync)
        return result


@dataclass
class Workers:
    """Those at work: what each tells next, and when."""

    meter: Meter
    total: int

    def __post_init__(self) -> None:
        self.busy = 0
        self._due: list[tuple[float, int, Iterator[dict[str, Any]]]] = []
        self._rng = random.Random(0)

    @cached_property
    def _surrogate(self) -> SyntheticWorkload:
        return SyntheticWorkload(get_space("resnest"), EPOCHS, seconds=60.0)

    def start(self, work: Assignment) -> None:
        self.busy += 1
        self._next(work.trial, self._results(work), 1.0)

    def go_on(self, trial: int, results: Iterator[dict[str, Any]]) -> None:
        self._next(trial, results, 60.0)

    def _next(self, trial: int, results: Any, seconds: float) -> None:
        when = self.meter() + seconds * self._rng.uniform(0.5, 1.5)
        heapq.heappush(self._due, (when, trial, results))

    def ready(self) -> list[tuple[int, Iterator[dict[str, Any]]]]:
        """All who have something to tell; waits for the first if there is none."""
        if self._due and self._due[0][0] > self.meter():
            self.meter.wait(self._due[0][0] - self.meter())
        found = []
        while self._due and self._due[0][0] <= self.meter():
            _, trial, results = heapq.heappop(self._due)
            found.append((trial, results))
        return found

    def _results(self, work: Assignment) -> Iterator[dict[str, Any]]:
        curve = self._surrogate.trajectory(work.arch)
        yield dict(curve.costs)
        yield {"latency_ms": curve.costs["macs"] / 1e8}
        for epoch, accuracy in enumerate(curve.accuracy, start=1):
            yield {"epoch": epoch, "accuracy": float(accuracy)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=10.0, help="virtual ones")
    parser.add_argument("--sync", type=float, default=0.025, help="seconds a commit")
    parser.add_argument("--sampler", default="evolution")
    parser.add_argument(
        "--one-by-one", action="store_true", help="a commit per result, as a baseline"
    )
    options = parser.parse_args()
    meter = Meter()
    with tempfile.TemporaryDirectory() as name:
        log = SlowDisk(Path(name) / "events.db", meter, options.sync)
        controller = made(options, meter, log)
        begun = meter()
        results = drive(controller, meter, options)
        seconds = meter() - begun
        events = sum(1 for _ in log)
        log.close()
    print(
        f"{options.workers} workers, {seconds:.0f} s: {len(controller.trials)} trials begun, "
        f"{len(controller.ended)} ended, {results} results, {events} events "
        f"({events / seconds:.0f}/s) in {log.commits} commits"
    )
    for what, spent in meter.spent.most_common():
        print(f"{what:12} {spent / seconds:6.1%}")
    print(f"{'free':12} {1 - meter.spent.total() / seconds:6.1%}")


def made(options: argparse.Namespace, meter: Meter, log: SlowDisk) -> Controller:
    config = SearchConfig(objectives=OBJECTIVES, trials=10**6)
    proposer = Proposer(
        get_space("resnest"), OBJECTIVES, make_sampler(options.sampler, 0)
    )
    stopper = make_stopper("moasha", OBJECTIVES, EPOCHS, {"eta": 3})
    view = SearchView(config, Console(file=io.StringIO(), width=100))
    meter.watch(proposer, "sampler", "ask", "tell")
    meter.watch(stopper, "stopper", "report", "promote", "finish")
    controller = Controller(
        proposer,
        log,
        Budget(10**6),
        stopper=stopper,
        clock=meter,
        listeners=[meter._counted(view, "view")],
    )
    controller.commit(SearchStarted(None))
    return controller


def drive(controller: Controller, meter: Meter, options: argparse.Namespace) -> int:
    """Let the search run for a while; how many results there were."""
    workers, turns, results = (
        Workers(meter, options.workers),
        Turns(controller, meter),
        0,
    )
    end = meter() + options.minutes * 60
    while meter() < end:
        if not options.one_by_one and workers.busy:
            meter.wait(turns.wait())
        ready = workers.ready() if workers.busy else []
        with meter.aside():
            told = [(trial, rest, next(rest, None)) for trial, rest in ready]
        results += len(told)
        rounds = [[one] for one in told] if options.one_by_one else [told]
        for batch in rounds or [[]]:
            turn(controller, turns, workers, meter, batch)
    return results


def turn(
    controller: Controller, turns: Turns, workers: Workers, meter: Meter, told: Any
) -> None:
    going = []
    with meter.count("the rest"), turns.turn():
        for trial, rest, metrics in told:
            if metrics is None:
                controller.finish(trial)
            if metrics is None or not controller.report(trial, metrics):
                workers.busy -= 1
            else:
                going.append((trial, rest))
        work = turns.work(workers.total - workers.busy)
    with meter.aside():
        for trial, rest in going:
            workers.go_on(trial, rest)
        for assignment in work:
            workers.start(assignment)


if __name__ == "__main__":
    main()
