"""How many trials the nodes of a Ray cluster have room for."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence

import ray

Node = Mapping[str, float]
"""What a node has in all, by the name of the resource."""
ROUNDING = 1e-6
"""Ten tenths of a GPU are a GPU."""


class Room:
    """How many trials of that size fit on the nodes there are; looks anew every few seconds.

    Raises:
        ValueError: if no node has room for one.
    """

    def __init__(self, cpus: float, gpus: float, every: float = 2.0) -> None:
        self._cpus, self._gpus = cpus, gpus
        self._every, self._looked, self._trials = every, -math.inf, 0
        if not self():
            offer = largest(alive_nodes(), first="GPU" if gpus else "CPU")
            raise ValueError(
                f"resources: a trial wants {cpus:g} CPUs and {gpus:g} GPUs; {offer}"
            )

    def __call__(self) -> int:
        if time.monotonic() - self._looked >= self._every:
            self._trials = room(alive_nodes(), self._cpus, self._gpus)
            self._looked = time.monotonic()
        return self._trials


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


def alive_nodes() -> list[Node]:
    """All that the nodes of the cluster have, whether in use or not."""
    return [dict(node["Resources"]) for node in ray.nodes() if node["Alive"]]
