"""The rules of the house that a reader counts on: one home for a name, rooms that are not hidden, no circles."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("search_spaces", "evaluators", "results", "nas")


@pytest.fixture(scope="module")
def figures() -> dict[str, float]:
    """What ``benchmarks/house.py`` prints."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        house = importlib.import_module("house")
    finally:
        sys.path.pop(0)
    found: dict[str, float] = house.figures(ROOT)
    return found


def test_no_public_name_has_two_homes(figures: dict[str, float]) -> None:
    assert figures["public names with two homes"] == 0, (
        "python benchmarks/house.py --largest"
    )


def test_folders_and_functions_stay_small(figures: dict[str, float]) -> None:
    assert figures["files in the largest flat folder"] <= 15
    assert figures["modules in import circles"] == 0


@pytest.mark.parametrize("package", PACKAGES)
def test_no_function_hides_a_module(package: str) -> None:
    """``a.b`` is the module ``a/b.py``, whatever ``a/__init__.py`` imports."""
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[-1] in ("__init__", "__main__"):
            continue
        door = importlib.import_module(".".join(parts[:-1]))
        there = getattr(door, parts[-1], None)
        assert there is None or isinstance(there, ModuleType), path
