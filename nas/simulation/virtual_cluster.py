"""How long things take on a cluster that does not exist, and what goes wrong there."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, fields
from random import Random


@dataclass(frozen=True)
class Cluster:
    """``workers`` that train one trial each, and beside them ``latency_devices`` that measure one at a time.

    ``start_seconds`` go by before each trial, then ``latency_seconds`` on a latency device, first come first
    served, while the worker waits. Of all trials the share ``stragglers`` trains ``slowdown`` times slower. Each
    epoch fails, and its trial with it, with the chance ``failures``. A worker is taken away ``preemptions``
    times an hour, for ``outage_seconds``; its trial then repeats the epoch it was in.

    Raises:
        ValueError: for a value that makes no sense.
    """

    workers: int = 4
    start_seconds: float = 0.0
    latency_seconds: float = 0.0
    latency_devices: int = 1
    stragglers: float = 0.0
    slowdown: float = 3.0
    failures: float = 0.0
    preemptions: float = 0.0
    outage_seconds: float = 300.0

    def __post_init__(self) -> None:
        least = {"workers": 1, "latency_devices": 1, "slowdown": 1}
        most = {"stragglers": 1.0, "failures": 1.0}
        for field in fields(self):
            value = getattr(self, field.name)
            low = least.get(field.name, 0)
            high = most.get(field.name, math.inf)
            if not (low <= value <= high and value < math.inf):
                upper = f" and at most {high:g}" if high < math.inf else ""
                limit = f"at least {low}{upper}"
                raise ValueError(f"{field.name} must be {limit}, got {value}")


class VirtualCluster:
    """Draws what happens on a ``Cluster``; the same ``seed`` and the same questions give the same answers."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self.cluster = cluster
        self._random = Random(seed).random  # noqa: S311 - a simulation, and one number at a time is wanted
        self._device_free = [0.0] * cluster.latency_devices

    def start(self, now: float) -> float:
        """When a trial that gets a worker now begins to train; called in the order of time."""
        ready = now + self.cluster.start_seconds
        if self.cluster.latency_seconds:
            ready = max(ready, self._device_free[0]) + self.cluster.latency_seconds
            # the device that is free first measures; it is free again afterwards
            heapq.heapreplace(self._device_free, ready)
        return ready

    def pace(self) -> float:
        """By how much longer than usual a trial's epochs take."""
        slow = self.cluster.stragglers and self._random() < self.cluster.stragglers
        return self.cluster.slowdown if slow else 1.0

    def fails(self) -> bool:
        return bool(self.cluster.failures) and self._random() < self.cluster.failures

    def lost(self, seconds: float) -> float:
        """Seconds that preemption adds to an epoch of so many seconds."""
        if not self.cluster.preemptions:
            return 0.0
        lost = 0.0
        # an epoch that is cut off begins anew, and may be cut off again
        while (survived := self._until_preempted()) < seconds:
            lost += survived + self.cluster.outage_seconds
        return lost

    def _until_preempted(self) -> float:
        # preemptions are a Poisson process: the time between two is exponential
        # exponentially distributed, at so many an hour
        hours = -math.log(1 - self._random())
        return hours * 3600 / self.cluster.preemptions
