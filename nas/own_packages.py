"""A user's own `results.py`, and what else is named as a package of ours, does not get in our way."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("evaluators", "results", "search_spaces")
"""The packages that this one imports."""


def see_to_own_packages() -> None:
    """Let this process import our packages, whatever lies in its folder; a Ray worker without a word.

    Raises:
        ImportError: naming the file that hides one of them, elsewhere: it may be meant.
    """
    root = Path(__file__).parents[1]
    if "RAY_RAYLET_PID" in os.environ:
        _hiding_folders_last(root)
    for name in PACKAGES:
        spec = find_spec(name)
        if spec and spec.origin and Path(spec.origin).parents[1] != root:
            raise ImportError(
                f"{spec.origin} hides a package of SplitSearch, which needs its own {name}: rename it, "
                "or run from another folder"
            )


def _hiding_folders_last(root: Path) -> None:
    """Ray puts the driver's working folder first on a worker's path."""
    if str(root) in sys.path:
        before = sys.path[: sys.path.index(str(root))]
        hiding = [folder for folder in before if _hides_us(Path(folder))]
        sys.path[:] = [each for each in sys.path if each not in hiding] + hiding


def _hides_us(folder: Path) -> bool:
    return any(
        (folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file()
        for name in PACKAGES
    )
