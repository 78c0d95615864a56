"""Who runs trials: Ray Tune on a cluster, or one process, and what a worker does with a trial."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def _working_folder_last() -> None:
    """Ray puts the driver's working folder first on a worker's path, where its results.py would hide ours.

    This is the first of our modules that a worker imports by name, before it loads anything that was sent.
    """
    ours = str(Path(__file__).parents[2])
    if "RAY_RAYLET_PID" in os.environ and ours in sys.path:
        before = sys.path[: sys.path.index(ours)]
        hiding = [folder for folder in before if _hides_us(Path(folder))]
        sys.path[:] = [each for each in sys.path if each not in hiding] + hiding


def _hides_us(folder: Path) -> bool:
    return any(
        (folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file()
        for name in ("evaluators", "results", "search_spaces")
    )


_working_folder_last()
