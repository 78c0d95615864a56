"""What an engine is: whoever runs the trials that the controller hands out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from evaluators import Evaluator
from nas.config.schema import SearchConfig
from nas.controller import Controller
from nas.engines.checkpoints import Checkpoints
from nas.engines.trackers import check_loggers
from nas.prepare import elsewhere
from search_spaces.extension import import_named


@runtime_checkable
class Engine(Protocol):
    """Runs trials until the controller has no more.

    Ask ``controller.next`` what to run, tell ``report`` every result, and ``finish`` or ``lost`` at the end;
    ``nas.engines.worker.steps`` is what a worker does in between. ``nas.engines.testing.EngineContract`` tests
    an engine.
    """

    def run(
        self,
        controller: Controller,
        evaluators: Sequence[Evaluator],
        checkpoints: Checkpoints,
    ) -> None:
        """Return when ``controller.over``, or early after Ctrl-C; raise what the controller raises.

        Raises:
            ValueError: before the first trial, for settings that cannot work here.
        """


def _serial(config: SearchConfig, folder: Path) -> Engine:
    from nas.engines.serial import SerialEngine

    return SerialEngine(config, folder)


def _ray(config: SearchConfig, folder: Path) -> Engine:
    from nas.engines.ray_engine import RayEngine  # takes seconds to import

    return RayEngine(config, folder)


ENGINES: Mapping[str, Callable[[SearchConfig, Path], Engine]] = {
    "ray": _ray,
    "serial": _serial,
}
"""Called with the settings and the run folder; so is a ``module:Name``."""


def located(config: SearchConfig) -> SearchConfig:
    """The settings, with a trial's GPUs as the cluster has them where ``device`` and they are left open.

    Raises:
        ValueError: if the cluster cannot be reached.
    """
    resources = config.resources
    if not elsewhere(config) or config.device != "auto" or resources.gpus is not None:
        return config
    from nas.engines.ray_cluster import has_gpus  # takes seconds to import

    gpus = 1.0 if has_gpus(config.ray.address) else 0.0
    decided = resources.model_copy(update={"gpus": gpus})
    return config.model_copy(update={"resources": decided})


def make_engine(config: SearchConfig, folder: Path) -> Engine:
    """The engine that ``config.engine`` names, for the run in ``folder``.

    Raises:
        ValueError: for an unknown name, or settings that it cannot work with.
    """
    check_loggers(config.loggers)
    name = config.engine
    make = ENGINES[name] if name in ENGINES else import_named(name, "engine", ENGINES)
    try:
        engine = make(config, folder)
    except TypeError as error:
        raise ValueError(f"engine {name!r} cannot be made: {error}") from error
    if not isinstance(engine, Engine):
        raise ValueError(
            f"engine {name!r} has no method run (nas.engines.engine.Engine)"
        )
    return engine
