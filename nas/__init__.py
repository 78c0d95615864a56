"""The controller: Optuna proposes, Ray Tune runs, the event log remembers."""

from .config import SearchConfig, load_config, presets
from .search import search

__all__ = ["SearchConfig", "load_config", "presets", "search"]
