"""Latency on devices that a Ray cluster keeps for it: one long-lived actor on each, and nobody trains there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import Any

import ray
from ray.exceptions import RayActorError, RayTaskError

from evaluators import Latency, Metrics
from nas.engines.ray_room import Demand, Patience
from search_spaces import Arch, arch_from_dict

ROUNDS = 10
PAUSE_SECONDS = 3.0
"""How often a trial asks every device before it fails, and how long it waits in between: Ray restarts actors."""


class LatencyDevice:
    """The actor: measures one network at a time, on the device that its resource stands for."""

    def measure(self, latency: Latency, arch: dict[str, object], seed: int) -> Metrics:
        return next(latency.evaluate(arch_from_dict(arch), seed=seed))


@dataclass(frozen=True)
class ReservedLatency:
    """``latency``, measured by whichever actor a network's id falls to; the next one if that is gone."""

    latency: Latency
    actors: tuple[Any, ...]

    @property
    def metrics(self) -> tuple[str, ...]:
        return self.latency.metrics

    def evaluate(
        self, arch: Arch, *, seed: int = 0, checkpoint: Path | None = None
    ) -> Iterator[Metrics]:
        """Raises ``RuntimeError`` if no device answers."""
        # by the id: the same network goes to the same device, and load spreads evenly
        first = int(arch.id, 16)
        for attempt in range(ROUNDS * len(self.actors)):
            actor = self.actors[(first + attempt) % len(self.actors)]
            asked = actor.measure.remote(self.latency, arch.to_dict(), seed)
            try:
                yield ray.get(asked)
                return
            except RayTaskError as error:
                # Ray's own text is a coloured traceback of both machines
                raise error.cause from error
            except RayActorError:
                pass
            if (attempt + 1) % len(self.actors) == 0:
                sleep(PAUSE_SECONDS)
        raise RuntimeError(
            f"none of the {len(self.actors)} devices for latency answers any more"
        )


def reserve(
    latency: Latency, resource: str, patience: Patience, demand: Demand
) -> ReservedLatency:
    """Start an actor for every unit of the Ray resource that the cluster has.

    Raises:
        ValueError: if no node offers it in time.
    """

    def units() -> int:
        return int(ray.cluster_resources().get(resource, 0))

    def lack() -> str:
        return (
            f"latency.resource: no node offers {resource}; start one with "
            f"ray start --resources='{{\"{resource}\": 1}}'"
        )

    gpus = float(latency.device.startswith("cuda"))
    demand.ask("latency", {resource: 1} | ({"GPU": gpus} if gpus else {}), 1)
    patience.wait(lambda: units() > 0, lack)
    options = {
        "num_cpus": 0,
        "num_gpus": gpus,
        "resources": {resource: 1},
        "max_restarts": -1,
    }
    device = ray.remote(LatencyDevice).options(**options)
    return ReservedLatency(latency, tuple(device.remote() for _ in range(units())))
