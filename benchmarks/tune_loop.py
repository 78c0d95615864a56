"""What Ray Tune takes of a driver: the real engine, on a real Ray, before workers that only sleep.

    python benchmarks/tune_loop.py --workers 1000 --minutes 3

Tune, relay, controller, sampler, stopper, log (with the disk of this machine) and plain view are the real ones,
as are the futures that the driver waits for. Only the workers share a few processes, where each is a coroutine
that sleeps for its epochs. Time is real. Both ways of waiting are measured, one after the other: `one by one`
lets Tune take a result at a time, `at once` is the engine as it is. The shares are of one core, of all threads
of the driver; `Tune and Ray` is what the parts below it do not account for.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

import ray
from driver import EPOCHS, Meter, made, options_of
from ray.air.execution import ResourceRequest
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.air.execution.resources.resource_manager import ResourceManager
from ray.tune.execution import tune_controller

from evaluators import Metrics
from nas.controller import Controller
from nas.engines import ray_tune
from nas.engines.checkpoints import Checkpoints
from nas.engines.ray_actor import TrialActor
from nas.engines.ray_nodes import AllNodes
from nas.engines.ray_room import Demand, Room
from nas.engines.turns import LONGEST_SECONDS
from nas.simulation.synthetic import SyntheticWorkload
from results import Event, EventLog
from search_spaces import Arch, get_space

WORKERS_PER_PROCESS = 1000


class Told:
    """Results by formula; the worker sleeps meanwhile."""

    metrics = ("flops", "accuracy")

    def evaluate(self, arch: Arch, *, seed: int, checkpoint: Path) -> Iterator[Metrics]:
        curve = SyntheticWorkload(get_space("resnest"), EPOCHS, pool=1).trajectory(arch)
        yield dict(curve.costs)
        yield {"latency_ms": curve.costs["macs"] / 1e8}
        for epoch, accuracy in enumerate(curve.accuracy, start=1):
            yield {"epoch": epoch, "accuracy": float(accuracy)}


class Trainer(TrialActor):
    """The engine's own actor; it is no process here."""

    def setup(self, config: dict[str, object], **ignored: object) -> None:
        super().setup(config, [Told()], Checkpoints(tempfile.gettempdir()))


@ray.remote(num_cpus=0, max_concurrency=20_000)
class Process:
    """A thousand workers."""

    def __init__(self, epoch_seconds: float) -> None:
        self._seconds = epoch_seconds
        self._trainers: dict[int, Trainer] = {}

    async def call(self, worker: int, method: str, *args: Any, **kwargs: Any) -> Any:
        if method == "__init__":
            config = kwargs["config"]
            self._trainers[worker] = Trainer(config, storage=kwargs["storage"])
            return None
        trainer = self._trainers[worker]
        if method == "train":
            seconds = self._seconds if trainer.training_iteration >= 2 else 1.0
            await asyncio.sleep(seconds * random.uniform(0.5, 1.5))
        return getattr(trainer, method)(*args, **kwargs)


class Handle:
    """What Tune takes for an actor."""

    def __init__(self, process: Any, number: int) -> None:
        self._process, self._number = process, number

    def __getattr__(self, method: str) -> Any:
        return _Call(self._process, self._number, method)


class _Call:
    def __init__(self, *what: Any) -> None:
        self._process, self._number, self._method = what

    def remote(self, *args: Any, **kwargs: Any) -> Any:
        call = self._process.call.remote
        return call(self._number, self._method, *args, **kwargs)


class Everything(ResourceManager):
    """There is always room: how much is used is the relay's to decide."""

    def request_resources(self, resource_request: ResourceRequest) -> None: ...

    def cancel_resource_request(self, resource_request: ResourceRequest) -> None: ...

    def has_resources_ready(self, resource_request: ResourceRequest) -> bool:
        return True

    def acquire_resources(self, resource_request: ResourceRequest) -> Any:
        return None

    def free_resources(self, acquired_resource: Any) -> None: ...

    def clear(self) -> None: ...


class SleepingActors(RayActorManager):
    """Tune's manager, whose actors are handles."""

    processes: ClassVar[list[Any]] = []

    def __init__(self, resource_manager: ResourceManager) -> None:
        super().__init__(Everything())
        self._started = 0

    def _try_start_actors(self, max_actors: int | None = None) -> int:
        for actor, (_, kwargs, request) in [*self._pending_actors_to_attrs.items()]:
            del self._pending_actors_to_attrs[actor]
            self._resource_request_to_pending_actors[request].remove(actor)
            process = self.processes[self._started // WORKERS_PER_PROCESS]
            handle = Handle(process, self._started)
            self._started += 1
            self._live_actors_to_ray_actors_resources[actor] = handle, None
            future = process.call.remote(handle._number, "__init__", **kwargs)
            self._tracked_actors_to_state_futures[actor].add(future)

            def started(result: Any, actor: Any = actor, future: Any = future) -> None:
                self._actor_start_resolved(actor, future)

            self._actor_state_events.track_future(future, started)
            self._enqueue_cached_actor_tasks(tracked_actor=actor)
        return 0

    def _try_kill_actor(self) -> bool:
        self._live_actors_to_kill.clear()  # the processes end with Ray
        return False

    def cleanup(self) -> None:
        """Nothing, for the same reason."""


class OneByOne(ray_tune.Relay):
    """The relay of before: Tune looks at all workers for every result."""

    def _collect(self) -> None:
        until = time.monotonic() + LONGEST_SECONDS
        while time.monotonic() < until:
            others = len(self._results) < len(self.segments)
            patience = self._turns.wait() if others else 0.0
            if not self.tune._actor_manager.next(timeout=patience):
                break


class Slots(Room):
    """Room for so many trials."""

    def __init__(self, workers: int) -> None:
        super().__init__(1, 0, AllNodes())
        self._workers = workers

    def now(self) -> int:
        return self._workers


class EndError(Exception):
    """The time that was to be measured is over."""


class Watch:
    """Ends the search when it has been seen for long enough, and says what it was like."""

    def __init__(
        self, meter: Meter, log: EventLog, options: argparse.Namespace
    ) -> None:
        self._meter, self._log, self._options = meter, log, options
        self._begun = self._cpu = 0.0
        self._events = self._turns = 0
        self._full = 0.0
        self.at_work = 0

    def __call__(self, event: Event) -> None:
        self._events += 1

    def turn(self) -> None:
        """A turn of the relay."""
        self._turns += 1

    def round(self, at_work: int) -> None:
        """A round of Tune's loop is over."""
        now, options = time.monotonic(), self._options
        self.at_work = at_work
        # proposed, costs and latency told: all have begun
        if not self._full and self._events >= 3 * options.workers:
            self._full = now
        elif self._full and not self._begun and now - self._full > 60 * options.warm_up:
            self._meter.spent.clear()
            self._begun, self._cpu = now, time.process_time()
            self._events = self._turns = 0
        elif self._begun and now - self._begun > 60 * options.minutes:
            self._report(now - self._begun)
            raise EndError

    def _report(self, seconds: float) -> None:
        cpu = time.process_time() - self._cpu
        if not self._events:
            print(f"{self._options.name}: no event in {seconds:.0f} s, more --minutes")
            return
        rate = self._events / seconds
        print(
            f"{self._options.name}, {self.at_work} workers, {seconds:.0f} s: {rate:.1f} events/s in "
            f"{self._turns / seconds:.1f} turns/s; {cpu / seconds:.1%} of a core, "
            f"{1000 * cpu / self._events:.2f} ms an event",
            flush=True,
        )
        shares = self._meter.spent | {"Tune and Ray": cpu - self._meter.total}
        for what, spent in sorted(shares.items(), key=lambda pair: -pair[1]):
            print(f"  {what:17} {spent / seconds:6.1%}", flush=True)


def measure(relay: type[ray_tune.Relay], options: argparse.Namespace) -> None:
    meter = Meter()
    ray.init("local", include_dashboard=False, log_to_driver=False, num_cpus=2)
    count = -(-options.workers // WORKERS_PER_PROCESS)
    SleepingActors.processes[:] = [
        Process.remote(options.epoch_seconds)
        for _ in range(count + 1)
    ]  # fmt: skip
    tune_controller.RayActorManager = SleepingActors
    with tempfile.TemporaryDirectory() as folder:
        log = EventLog(Path(folder) / "events.db")
        controller = made(options, meter, log, time.monotonic)
        watch = Watch(meter, log, options)
        controller.listeners.append(watch)
        meter.watch(log, "log", "_execute")

        # mypy takes no argument for a base class; here it is the relay before or after a change
        class Watched(relay):  # type: ignore[misc, valid-type]
            def _turn(self, *told: Any) -> Any:
                watch.turn()
                with meter.count("controller, relay"):
                    return super()._turn(*told)

            def end_of_round(self) -> None:
                try:
                    watch.round(len(self.segments))
                except EndError as over:
                    self.broken = over
                    return
                super().end_of_round()

        run(Watched, controller, folder, options.workers)
        log.close()
    ray.shutdown()


def run(
    relay: type[ray_tune.Relay], controller: Controller, folder: str, workers: int
) -> None:
    # run_trials makes its relay itself
    with patch.object(ray_tune, "Relay", relay), suppress(EndError):
        ray_tune.run_trials(
            controller, [], Checkpoints(folder), room=Slots(workers), demand=Demand()
        )


def main() -> None:
    parser = options_of(__doc__)
    parser.add_argument("--only", choices=("before", "now"))
    options = parser.parse_args()
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = "1000"
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    if options.only != "now":
        options.name = "one by one"
        measure(OneByOne, options)
    if options.only != "before":
        options.name = "at once"
        measure(ray_tune.Relay, options)


if __name__ == "__main__":
    main()
