"""Which nodes of a cluster may train: a node that joins is asked first, and one that fails is left out."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import ray
from ray.exceptions import GetTimeoutError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from nas.engines.ray_probe import Needs, look, own_line

Node = Mapping[str, float]
"""What a node has in all, by the name of the resource."""
ATTEMPTS = 3
RETRY_SECONDS = 5.0
"""How often in a row a node may fail to answer well, and the pause in between."""


def alive_nodes() -> dict[str, Node]:
    """All that the nodes of the cluster have, whether in use or not, by the nodes' ids."""
    return {
        node["NodeID"]: dict(node["Resources"]) for node in ray.nodes() if node["Alive"]
    }


class AllNodes:
    """The nodes of a Ray of our own: this machine, where everything has been tried already."""

    def __call__(self) -> dict[str, Node]:
        return alive_nodes()

    @property
    def refused(self) -> tuple[str, ...]:
        return ()

    @property
    def proven(self) -> frozenset[str]:
        return frozenset()

    @property
    def reason(self) -> str | None:
        return None

    def doubt(self) -> None:
        """Nothing: there is no other node."""


class ProvenNodes(AllNodes):
    """The nodes that have what a search needs, as far as they have answered.

    ``gpus`` is asked for as well, a little of it, because a worker without any sees no GPU. ``tell`` hears once
    of each node that is left out.
    """

    def __init__(self, needs: Needs, gpus: float, tell: Callable[[str], None]) -> None:
        self._needs = ray.put(needs)
        self._tell = tell
        # a process of its own each time, so that what one has loaded is gone with it
        self._probe = ray.remote(
            num_cpus=0, num_gpus=min(gpus, 0.001), max_calls=1, max_retries=0
        )(look)
        self._asked: dict[str, Any] = {}
        self._proven: set[str] = set()
        self._failures: Counter[str] = Counter()
        self._again: dict[str, float] = {}
        self._reasons: dict[str, str] = {}
        self._gpus = gpus

    def __call__(self) -> dict[str, Node]:
        """Those that may train now. Takes in answers, and asks nodes that are new."""
        alive = alive_nodes()
        # a copy: an answer takes its node off the list
        for node in [*self._asked]:
            self._take_answer(node, alive)
        for node, resources in alive.items():
            if self._is_to_be_asked(node, resources):
                # soft=False: on this node or not at all, since it is this one that is asked
                there = NodeAffinitySchedulingStrategy(node, soft=False)
                probe = self._probe.options(scheduling_strategy=there)
                self._asked[node] = probe.remote(self._needs)
        return {node: alive[node] for node in self._proven if node in alive}

    @property
    def refused(self) -> tuple[str, ...]:
        """Those that must not get work, left out or not asked yet."""
        return tuple(sorted(alive_nodes().keys() - self._proven))

    @property
    def proven(self) -> frozenset[str]:
        """Those that had passed when nodes were last asked."""
        return frozenset(self._proven)

    @property
    def reason(self) -> str | None:
        """Why none of those that have answered may train; None while one may, or has still to answer."""
        if self._proven or self._asked or self._again or not self._reasons:
            return None
        return next(iter(self._reasons.values()))

    def doubt(self) -> None:
        """A worker was lost: ask all nodes again, which go on meanwhile."""
        # at once, and all: what failed one worker may fail any
        self._again |= dict.fromkeys(self._proven, time.monotonic())

    def _is_to_be_asked(self, node: str, resources: Node) -> bool:
        if node in self._asked or node in self._reasons:
            return False
        if not resources.get("GPU" if self._gpus else "CPU"):
            return False
        due = self._again.get(node, 0.0 if node not in self._proven else None)
        return due is not None and time.monotonic() >= due

    def _take_answer(self, node: str, alive: Mapping[str, Node]) -> None:
        if node not in alive:
            del self._asked[node]
            return
        try:
            # the search must not wait for a node that is slow to answer
            ray.get(self._asked[node], timeout=0)
        except GetTimeoutError:
            return
        except Exception as error:  # Ray raises what the node raised, too
            self._fail(node, own_line(str(error)))
        else:
            self._proven.add(node)
            self._failures[node] = 0
            self._again.pop(node, None)
        del self._asked[node]

    def _fail(self, node: str, reason: str) -> None:
        self._failures[node] += 1
        self._again[node] = time.monotonic() + RETRY_SECONDS
        if self._failures[node] >= ATTEMPTS:
            del self._again[node]
            self._proven.discard(node)
            self._reasons[node] = reason
            self._tell(f"node {_address(node)} is left out: {reason}")


def _address(node: str) -> str:
    """The node as a person knows it."""
    for each in ray.nodes():
        if each["NodeID"] == node:
            return f"{each['NodeManagerHostname']} ({each['NodeManagerAddress']})"
    return node
