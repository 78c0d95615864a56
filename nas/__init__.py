"""The controller: Optuna proposes, Ray Tune runs, the event log remembers."""

from nas.config.loading import load_config, presets
from nas.config.schema import SearchConfig
from nas.controller import Controller
from nas.driver import resume, search
from nas.exporting.export import export
from nas.retraining.create import create
from nas.retraining.retrain import retrain
from nas.simulation.simulator import simulate
from nas.stopper.asha import MultiObjectiveASHA

__all__ = [
    "Controller",
    "MultiObjectiveASHA",
    "SearchConfig",
    "create",
    "export",
    "load_config",
    "presets",
    "resume",
    "retrain",
    "search",
    "simulate",
]
