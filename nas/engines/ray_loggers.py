"""Ray's own callbacks, a user's that is, beside ``nas.engines.trackers``."""

from __future__ import annotations

from collections.abc import Iterable

from ray.tune import Callback

from nas.engines.trackers import TRACKERS
from search_spaces.extension import import_named


def make_loggers(names: Iterable[str]) -> list[Callback]:
    """Those of the loggers that are ``module:Name`` of Ray's interface.

    Raises:
        ValueError: for an unknown name.
    """
    loggers = []
    for name in (name for name in names if name not in TRACKERS):
        logger = import_named(name, "logger", [*TRACKERS])()
        if not isinstance(logger, Callback):
            raise ValueError(
                f"loggers: {name!r} makes no ray.tune.Callback but {type(logger).__name__}"
            )
        loggers.append(logger)
    return loggers
