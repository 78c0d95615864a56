"""How many trials the nodes of a Ray cluster have room for."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence

import ray

Node = Mapping[str, float]
"""What a node has in all, by the name of the resource."""


class Room:
    """How many trials of that size fit on the nodes there are; looks anew every few seconds.

    Raises:
        ValueError: if no node has room for one.
    """

    def __init__(self, cpus: float, gpus: float, every: float = 2.0) -> None:
        self._wanted = {"CPU": cpus, "GPU": gpus}
        self._every, self._looked, self._trials = every, -math.inf, 0
        if not self():
            offer = largest(_nodes(), first="GPU" if gpus else "CPU")
            raise ValueError(f"resources: a trial wants {cpus:g} CPUs and {gpus:g} GPUs; {offer}")

    def __call__(self) -> int:
        if time.monotonic() - self._looked >= self._every:
            self._trials = sum(map(self._on, _nodes()))
            self._looked = time.monotonic()
        return self._trials

    def _on(self, node: Node) -> int:
        fits = [node.get(name, 0) / amount for name, amount in self._wanted.items() if amount]
        return int(min(fits) + 1e-6)


def largest(nodes: Sequence[Node], first: str = "CPU") -> str:
    """In words, the node with most of ``first``, ``CPU`` or ``GPU``."""
    if not nodes:
        return "there are no nodes"
    node = max(nodes, key=lambda node: node.get(first, 0))
    return f"the largest node has {node.get('CPU', 0):g} CPUs and {node.get('GPU', 0):g} GPUs"


def _nodes() -> list[Node]:
    return [dict(node["Resources"]) for node in ray.nodes() if node["Alive"]]
