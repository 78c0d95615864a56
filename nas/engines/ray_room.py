"""How many trials the nodes of a Ray cluster have room for, and what is asked of one that can grow."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

from ray.autoscaler.sdk import request_resources

from nas.engines.ray_nodes import AllNodes, Node, alive_nodes

ROUNDING = 1e-6
"""Ten tenths of a GPU are a GPU."""
MOST_ASKED = 1000
"""Trials that a cluster is asked to grow for at once."""
CHECK_SECONDS = 0.5
ASK_SECONDS = 5.0


class Room:
    """How many trials of that size fit on the nodes that may train; looks anew every few seconds."""

    def __init__(
        self, cpus: float, gpus: float, nodes: AllNodes, every: float = 2.0
    ) -> None:
        self.nodes = nodes
        self.cpus = cpus
        self.gpus = gpus
        self._every = every
        self._looked = -math.inf
        self._trials = 0

    def __call__(self) -> int:
        if time.monotonic() - self._looked >= self._every:
            self._trials = self.now()
            self._looked = time.monotonic()
        return self._trials

    def now(self) -> int:
        """As it is at this moment."""
        nodes = list(self.nodes().values())
        return room(nodes, self.cpus, self.gpus)

    def wait(self, patience: Patience) -> None:
        """Return when a trial can start.

        Raises:
            ValueError: if no node has room for one in time, or none of those that have may train.
        """
        patience.wait(self._could_be, lambda: f"resources: {self.lack()}")
        while not self.now():
            if reason := self.nodes.reason:
                raise ValueError(f"no node of the cluster can train: {reason}")
            time.sleep(CHECK_SECONDS)

    @property
    def bundle(self) -> dict[str, float]:
        """What a trial holds, as Ray spells it."""
        if not self.gpus:
            return {"CPU": self.cpus}
        return {"CPU": self.cpus, "GPU": self.gpus}

    def _could_be(self) -> bool:
        nodes = list(alive_nodes().values())
        return room(nodes, self.cpus, self.gpus) > 0

    def lack(self) -> str:
        """What a trial wants and what there is."""
        nodes = list(alive_nodes().values())
        offer = largest(nodes, first="GPU" if self.gpus else "CPU")
        return f"a trial wants {self.cpus:g} CPUs and {self.gpus:g} GPUs; {offer}"


@dataclass(frozen=True)
class Patience:
    """How long a cluster that boots, or grows, is waited for; ``tell`` hears that it is."""

    minutes: float
    tell: Callable[[str], None]

    def wait(self, there: Callable[[], bool], lack: Callable[[], str]) -> None:
        """Return once ``there``; ``ValueError`` of what is lacking if that takes too long."""
        until = time.monotonic() + 60 * self.minutes
        told = False
        while not there():
            if time.monotonic() >= until:
                raise ValueError(lack())
            if not told:
                self.tell(f"waiting up to {self.minutes:g} min for nodes; {lack()}")
                told = True
            time.sleep(CHECK_SECONDS)


class Demand:
    """What an autoscaling cluster is asked for; others take no notice.

    Trials are handed out only where there is room, so no request of theirs ever waits, and a cluster that looks
    at waiting requests would not grow.
    """

    def __init__(self) -> None:
        self._bundles: dict[str, list[dict[str, float]]] = {}
        self._due = -math.inf

    def ask(self, what: str, bundle: dict[str, float], times: int) -> None:
        """Have room for ``times`` bundles, beside what was asked for under other names."""
        wanted = [bundle] * min(times, MOST_ASKED)
        first = what not in self._bundles
        if self._bundles.get(what) == wanted or not (
            first or time.monotonic() >= self._due
        ):
            return
        self._bundles[what] = wanted
        bundles = chain.from_iterable(self._bundles.values())
        request_resources(bundles=list(bundles))
        self._due = time.monotonic() + ASK_SECONDS

    def end(self) -> None:
        """Ask for nothing any more, so that nodes may go."""
        if self._bundles:
            request_resources(bundles=[])


def room(nodes: Sequence[Node], cpus: float, gpus: float) -> int:
    """How many processes of that size the nodes can hold together; none is spread over two nodes."""
    wanted = {
        name: amount for name, amount in {"CPU": cpus, "GPU": gpus}.items() if amount
    }
    # of the resource that runs out first
    fits = [
        min(node.get(name, 0) / amount for name, amount in wanted.items())
        for node in nodes
    ]
    return sum(int(count + ROUNDING) for count in fits)


def largest(nodes: Sequence[Node], first: str = "CPU") -> str:
    """In words, the node with most of ``first``, ``CPU`` or ``GPU``."""
    if not nodes:
        return "there are no nodes"
    node = max(nodes, key=lambda node: node.get(first, 0))
    return f"the largest node has {node.get('CPU', 0):g} CPUs and {node.get('GPU', 0):g} GPUs"
