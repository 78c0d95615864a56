"""The engine on Ray: a cluster is joined or started, and Tune runs the trials as actors.

``nas.engines.ray_tune`` is the part that talks with Tune. Latency that is kept for some devices of the cluster
is measured there, by ``nas.engines.ray_latency``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evaluators import Evaluator, Latency
from nas.config.schema import SearchConfig
from nas.controller import Controller
from nas.engines.checkpoints import Checkpoints
from nas.engines.ray_cluster import connected
from nas.engines.ray_latency import reserve
from nas.engines.ray_nodes import AllNodes, ProvenNodes
from nas.engines.ray_probe import Needs
from nas.engines.ray_room import Demand, Patience, Room
from nas.engines.ray_tune import run_trials
from nas.engines.trackers import TRACKERS
from nas.prepare import gpus_per_trial
from results.log.events import Noted
from search_spaces.extension import import_named

if TYPE_CHECKING:
    from ray.tune import Callback


class RayEngine:
    """As many trials at once as the cluster has room for."""

    def __init__(self, config: SearchConfig, folder: Path) -> None:
        self._config = config
        self._folder = folder
        self._loggers = _callbacks(config.loggers)

    def run(
        self,
        controller: Controller,
        evaluators: Sequence[Evaluator],
        checkpoints: Checkpoints,
    ) -> None:
        """Raises ``ValueError`` if there is no cluster, no node with room, or none with the latency resource."""
        config = self._config
        demand = Demand()
        joined = config.ray.address != "local"

        def tell(text: str) -> None:
            controller.commit(Noted(None, text))

        patience = Patience(config.ray.wait_minutes if joined else 0.0, tell)
        with connected(config.ray, self._folder / "log.txt"):
            try:
                placed = [self._placed(each, patience, demand) for each in evaluators]
                gpus = gpus_per_trial(config)
                nodes = (
                    ProvenNodes(Needs.of(placed), gpus, tell) if joined else AllNodes()
                )
                room = Room(config.resources.cpus, gpus, nodes)
                demand.ask("trials", room.bundle, config.trials)
                room.wait(patience)
                run_trials(
                    controller,
                    placed,
                    checkpoints,
                    room=room,
                    demand=demand,
                    loggers=self._loggers,
                    folder=self._folder / "ray" if self._loggers else None,
                )
            finally:
                demand.end()

    def _placed(
        self, evaluator: Evaluator, patience: Patience, demand: Demand
    ) -> Evaluator:
        resource = self._config.latency.resource
        if resource is None or not isinstance(evaluator, Latency):
            return evaluator
        return reserve(evaluator, resource, patience, demand)


def _callbacks(names: Sequence[str]) -> list[Callback]:
    """Those of the loggers that are ``module:Name`` of Ray's interface, beside ``nas.engines.trackers``.

    Raises:
        ValueError: for an unknown name.
    """
    # not above: ray_cluster has to be the first to miss Ray, for it says how to get it
    from ray.tune import Callback

    loggers = []
    for name in (name for name in names if name not in TRACKERS):
        logger = import_named(name, "logger", [*TRACKERS])()
        if not isinstance(logger, Callback):
            raise ValueError(
                f"loggers: {name!r} makes no ray.tune.Callback but {type(logger).__name__}"
            )
        loggers.append(logger)
    return loggers
