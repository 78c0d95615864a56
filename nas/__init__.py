"""The controller: Optuna proposes, Ray Tune runs, the event log remembers."""

from .config import SearchConfig
from .export import export
from .loading import load_config, presets
from .retrain import retrain
from .search import resume, search
from .simulate import simulate

__all__ = ["SearchConfig", "export", "load_config", "presets", "resume", "retrain", "search", "simulate"]
