"""The controller: Optuna proposes, Ray Tune runs, the event log remembers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from nas.own_packages import see_to_own_packages

if TYPE_CHECKING:
    from nas.ask_tell import AskTell
    from nas.config.loading import load_config, presets
    from nas.config.schema import SearchConfig
    from nas.controller import Controller
    from nas.driver import resume, search
    from nas.exporting.export import export
    from nas.exporting.hub import load_from_hub, push_to_hub
    from nas.retraining.create import create
    from nas.retraining.retrain import retrain
    from nas.simulation.simulator import simulate
    from nas.stopper.asha import MultiObjectiveASHA

__all__ = [
    "AskTell",
    "Controller",
    "MultiObjectiveASHA",
    "SearchConfig",
    "create",
    "export",
    "load_config",
    "load_from_hub",
    "presets",
    "push_to_hub",
    "resume",
    "retrain",
    "search",
    "simulate",
]

_HOMES = {
    "AskTell": "nas.ask_tell",
    "Controller": "nas.controller",
    "MultiObjectiveASHA": "nas.stopper.asha",
    "SearchConfig": "nas.config.schema",
    "create": "nas.retraining.create",
    "export": "nas.exporting.export",
    "load_config": "nas.config.loading",
    "load_from_hub": "nas.exporting.hub",
    "presets": "nas.config.loading",
    "push_to_hub": "nas.exporting.hub",
    "resume": "nas.driver",
    "retrain": "nas.retraining.retrain",
    "search": "nas.driver",
    "simulate": "nas.simulation.simulator",
}
"""Imported when first asked for: torch and pandas take seconds, and the help of the command line needs neither."""

see_to_own_packages()  # before any of them is imported

if not TYPE_CHECKING:  # which knows the names above, and should miss others

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'nas' has no attribute {name!r}")
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
