"""Ray's own callbacks by name, beside ``nas.engines.trackers``: Weights & Biases, or a user's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path

from ray.tune import Callback

from nas.engines.trackers import TRACKERS
from search_spaces.extension import import_named


def _wandb(name: str) -> Callback:
    from ray.air.integrations.wandb import WandbLoggerCallback

    return WandbLoggerCallback(project="splitsearch", group=name)


LOGGERS: dict[str, Callable[[str], Callback]] = {"wandb": _wandb}
"""Called with the name of the run; servers and keys come from the environment, as their manuals say."""
LOGGER_PACKAGES = {"wandb": "wandb"}


def make_loggers(names: Iterable[str], folder: Path) -> list[Callback]:
    """Those of the loggers that are Ray's, or ``module:Name`` of its interface, for the run in ``folder``.

    Raises:
        ValueError: for an unknown name, or one whose package is not installed.
    """
    loggers = []
    for name in (name for name in names if name not in TRACKERS):
        package = LOGGER_PACKAGES.get(name)
        if package and find_spec(package) is None:
            raise ValueError(
                f"loggers: {name} needs the package {package}: pip install {package}"
            )
        logger = (
            LOGGERS[name](folder.name)
            if package
            else import_named(name, "logger", [*TRACKERS, *LOGGERS])()
        )
        if not isinstance(logger, Callback):
            raise ValueError(
                f"loggers: {name!r} makes no ray.tune.Callback but {type(logger).__name__}"
            )
        loggers.append(logger)
    return loggers
