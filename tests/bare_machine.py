"""A Python that has torch, numpy, Pillow and pyarrow, with what these need, and nothing else."""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires

PACKAGES = ("torch", "numpy", "pillow", "pyarrow")
BLOCKER = """
import sys
from importlib.machinery import PathFinder

ABSENT = {names}

class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in ABSENT else super().find_spec(name, path, target)

sys.meta_path[:] = [Without if finder is PathFinder else finder for finder in sys.meta_path]
"""


def blocked() -> str:
    """Code after which nothing else that is installed can be imported; the set ``ABSENT`` names it."""
    there = _with_what_they_need(PACKAGES)
    absent = {
        module
        for module, owners in packages_distributions().items()
        if not there & {canonical(owner) for owner in owners}
        and module not in sys.stdlib_module_names
    }
    absent -= {"evaluators", "search_spaces", "nas", "results", "benchmarks"}
    return BLOCKER.format(names=absent)


def _with_what_they_need(packages: tuple[str, ...]) -> set[str]:
    known: set[str] = set()
    waiting = list(packages)
    while waiting:
        name = canonical(waiting.pop())
        if name in known:
            continue
        known.add(name)
        try:
            needed = requires(name) or []
        except PackageNotFoundError:  # of another platform
            continue
        waiting += [
            re.split(r"[^\w.-]", need)[0] for need in needed if "extra ==" not in need
        ]
    return known


def canonical(name: str) -> str:
    """https://packaging.python.org/en/latest/specifications/name-normalization/"""
    return re.sub(r"[-_.]+", "-", name).lower()
