"""The one folder for what is kept between searches: images, weights, latencies."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path


def cache_folder(named: str | None = None) -> Path:
    """The folder named, else ``$SPLITSEARCH_CACHE``, else ``splitsearch`` in the user's cache folder."""
    if chosen := named or os.environ.get("SPLITSEARCH_CACHE"):
        return Path(chosen).expanduser().absolute()
    return user_cache_path("splitsearch")
