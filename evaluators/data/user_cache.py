"""The one folder for what is kept between searches: images, weights, latencies."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(named: str | None = None) -> Path:
    """The folder named, else ``$SPLITSEARCH_CACHE``, else ``splitsearch`` in the user's cache folder.

    Raises:
        ValueError: if none is named and platformdirs, which knows the user's, is not installed.
    """
    if chosen := named or os.environ.get("SPLITSEARCH_CACHE"):
        return Path(chosen).expanduser().absolute()
    try:
        from platformdirs import user_cache_path
    except ImportError as error:
        raise ValueError(
            "the cache has no folder: set SPLITSEARCH_CACHE to one, or pip install platformdirs"
        ) from error
    return user_cache_path("splitsearch")
