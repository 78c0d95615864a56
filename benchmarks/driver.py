"""What a driver can take: its real code before 1,000 simulated workers, on a disk that syncs slowly.

    python benchmarks/driver.py --workers 1000 --minutes 10
    python benchmarks/driver.py --workers 1000 --minutes 3 --one-by-one    # a commit per result

Controller, sampler, stopper, log and plain view are the real ones, on a real file. Workers are simulated: they
tell costs, a latency, and epochs with accuracies by formula. Time is virtual: it is the CPU
time of the driver, ``--sync`` seconds a commit, and waiting for workers. The first minute, in which all begin at
once, does not count. Ray is left out: its share is that of ``ray.wait`` and Tune's bookkeeping.
"""

from __future__ import annotations

import argparse
import heapq
import io
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

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
OBJECTIVES: dict[str, Literal["max", "min"]] = {"accuracy": "max", "flops": "min"}


class Meter:
    """The virtual clock, and what the driver's time went to."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, float] = defaultdict(float)
        self._offset = -time.process_time()
        self._inside: list[str] = []

    def __call__(self) -> float:
        return time.process_time() + self._offset

    @property
    def total(self) -> float:
        return sum(self.spent.values())

    def wait(self, seconds: float) -> None:
        self._offset += seconds

    @contextmanager
    def count(self, what: str) -> Iterator[None]:
        """Time of its own, none of which counts for a ``count`` around it."""
        began, inner = self(), self.total
        try:
            yield
        finally:
            self.spent[what] += self() - began - (self.total - inner)

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
    epoch_seconds: float

    def __post_init__(self) -> None:
        self.busy = 0
        self.idle_seconds = 0.0
        self._told: list[float] = []
        self._due: list[tuple[float, int, Iterator[dict[str, Any]]]] = []
        self._rng = random.Random(0)

    @cached_property
    def _surrogate(self) -> SyntheticWorkload:
        return SyntheticWorkload(
            get_space("resnest"), EPOCHS, seconds=self.epoch_seconds
        )

    def start(self, work: Assignment) -> None:
        self.busy += 1
        self._next(work.trial, self._results(work), 1.0)

    def go_on(self, trial: int, results: Iterator[dict[str, Any]]) -> None:
        self._next(trial, results, self.epoch_seconds)

    def _next(self, trial: int, results: Any, seconds: float) -> None:
        when = self.meter() + seconds * self._rng.uniform(0.5, 1.5)
        heapq.heappush(self._due, (when, trial, results))

    def ready(self) -> list[tuple[int, Iterator[dict[str, Any]]]]:
        """All who have something to tell; waits for the first if there is none."""
        if self._due and self._due[0][0] > self.meter():
            self.meter.wait(self._due[0][0] - self.meter())
        found = []
        while self._due and self._due[0][0] <= self.meter():
            when, trial, results = heapq.heappop(self._due)
            self._told.append(when)
            found.append((trial, results))
        return found

    def answered(self, idle: int, since: float) -> None:
        """Count the seconds of the idle ones, and of those that waited for an answer."""
        now = self.meter()
        self.idle_seconds += idle * (now - since)
        self.idle_seconds += sum(now - when for when in self._told)
        self._told.clear()

    def _results(self, work: Assignment) -> Iterator[dict[str, Any]]:
        curve = self._surrogate.trajectory(work.arch)
        yield dict(curve.costs)
        yield {"latency_ms": curve.costs["macs"] / 1e8}
        for epoch, accuracy in enumerate(curve.accuracy, start=1):
            yield {"epoch": epoch, "accuracy": float(accuracy)}


def main() -> None:
    parser = options_of(__doc__)
    parser.add_argument("--sync", type=float, default=0.025, help="seconds a commit")
    parser.add_argument(
        "--one-by-one", action="store_true", help="a commit per result, as a baseline"
    )
    options = parser.parse_args()
    meter = Meter()
    with tempfile.TemporaryDirectory() as name:
        log = SlowDisk(Path(name) / "events.db", meter, options.sync)
        controller = made(options, meter, log)
        workers = Workers(meter, options.workers, options.epoch_seconds)
        turns = Turns(controller, meter)
        drive(workers, turns, controller, meter, options.warm_up, options.one_by_one)
        before = Sample.of(controller, log, workers, meter)
        meter.spent.clear()
        drive(workers, turns, controller, meter, options.minutes, options.one_by_one)
        after = Sample.of(controller, log, workers, meter)
        log.close()
    after.report(before, options.workers)
    seconds = after.time - before.time
    for what, spent in sorted(meter.spent.items(), key=lambda pair: -pair[1]):
        print(f"{what:12} {spent / seconds:6.1%}")
    print(f"{'free':12} {1 - meter.total / seconds:6.1%}")


def options_of(text: str | None) -> argparse.ArgumentParser:
    """The options that say how much there is to drive."""
    parser = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=10.0, help="that are measured")
    parser.add_argument("--warm-up", type=float, default=1.0, help="minutes before")
    parser.add_argument("--epoch-seconds", type=float, default=60.0)
    parser.add_argument("--sampler", default="evolution")
    return parser


@dataclass(frozen=True)
class Sample:
    """Where everything stands at one moment."""

    time: float
    trials: int
    ended: int
    events: int
    commits: int
    idle_seconds: float

    @classmethod
    def of(
        cls, controller: Controller, log: SlowDisk, workers: Workers, meter: Meter
    ) -> Sample:
        with meter.aside():
            return cls(
                meter(),
                len(controller.trials),
                len(controller.ended),
                sum(1 for _ in log),
                log.commits,
                workers.idle_seconds,
            )

    def report(self, before: Sample, workers: int) -> None:
        seconds = self.time - before.time
        events, commits = self.events - before.events, self.commits - before.commits
        idle = (self.idle_seconds - before.idle_seconds) / seconds / workers
        print(
            f"{workers} workers, {seconds:.0f} s: {self.trials - before.trials} trials begun, "
            f"{self.ended - before.ended} ended, {events} events ({events / seconds:.1f}/s) "
            f"in {commits} commits; workers had nothing to do for {idle:.1%} of the time"
        )


def made(
    options: argparse.Namespace,
    meter: Meter,
    log: EventLog,
    clock: Callable[[], float] | None = None,
) -> Controller:
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
        clock=clock or meter,
        listeners=[meter._counted(view, "view")],
    )
    controller.commit(SearchStarted(None))
    return controller


def drive(
    workers: Workers,
    turns: Turns,
    controller: Controller,
    meter: Meter,
    minutes: float,
    one_by_one: bool,
) -> None:
    """Let the search run for a while."""
    end = meter() + minutes * 60
    while (began := meter()) < end:
        idle = workers.total - workers.busy
        if not one_by_one and workers.busy:
            meter.wait(turns.wait())
        ready = workers.ready() if workers.busy else []
        with meter.aside():
            told = [(trial, rest, next(rest, None)) for trial, rest in ready]
        rounds = [[one] for one in told] if one_by_one else [told]
        for batch in rounds or [[]]:
            turn(controller, turns, workers, meter, batch)
        workers.answered(idle, began)


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
