"""What a reader counts on: short functions and files, one home for a name, no hidden rooms, no circles."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("search_spaces", "evaluators", "results", "nas")


@pytest.fixture(scope="module")
def house() -> ModuleType:
    """``benchmarks/house.py``, which prints the same."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        return importlib.import_module("house")
    finally:
        sys.path.pop(0)


def test_the_source_reads_as_was_agreed(house: ModuleType) -> None:
    figures = house.figures(ROOT)
    missed = [
        f"{name} is {figures[name]:.2f}, not {goal.low:g} to {goal.high:g}: {goal.advice}"
        for name, goal in house.GOALS.items()
        if not goal.low <= figures[name] <= goal.high
    ]
    where = "where to begin: python benchmarks/house.py --largest"
    assert not missed, "\n".join([*missed, where])


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("modules in import circles", "def f():\n    import nas.b\n"),
        ("function code lines, largest", "def f():\n" + "    print()\n" * 60),
        ("lines of the longest file", "\n" * 321),
        ("tokens a line", "x = a(b, c) + d(e, f)\n" * 20),
        ("Any per 1000 lines", "from typing import Any\nx: Any = 1\n"),
        ("public names with two homes", "A, B = 1, 2\n"),
    ],
)
def test_each_figure_is_seen(
    house: ModuleType, tmp_path: Path, name: str, source: str
) -> None:
    """In a small checkout where one goal is missed."""
    for package in PACKAGES:
        (tmp_path / package).mkdir()
        (tmp_path / package / "plain.py").write_text(f"def {package}_():\n    pass\n")
    (tmp_path / "nas/a.py").write_text(source)
    (tmp_path / "nas/b.py").write_text("import nas.a\n\nB = 1\n")
    (tmp_path / "nas/c.py").write_text("def h():\n    return 2\n")
    goal = house.GOALS[name]
    assert not goal.low <= house.figures(tmp_path)[name] <= goal.high


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
