from __future__ import annotations

import pytest

from search_spaces import Grid, choose
from search_spaces.testing import Replay


def test_points_are_the_decimals_that_one_would_write() -> None:
    grid = Grid(0.1, 0.7, 0.1)
    assert list(grid) == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    assert grid[-1] == 0.7
    assert grid[1:3] == (0.2, 0.3)
    assert all(value in grid for value in grid)
    assert 0.1 + 0.2 not in grid
    assert 0.35 not in grid
    assert 1.0 not in grid
    assert "0.1" not in grid


def test_large_grids_hold_all_their_points() -> None:
    grid = Grid(1.0, 600.0, 0.01)
    assert len(grid) == 59_901
    assert all(
        grid[i] == float(f"{1 + i / 100:.2f}") and grid[i] in grid
        for i in range(0, 59_901, 7)
    )


@pytest.mark.parametrize(
    "ends",
    [
        (0.0, 1.0, 0.3),
        (1.0, 1.0, 0.1),
        (1.0, 0.0, 0.1),
        (0.0, 1.0, -0.1),
        (0.0, float("inf"), 1.0),
    ],
)
def test_ends_that_are_no_whole_steps_apart_are_refused(
    ends: tuple[float, float, float],
) -> None:
    with pytest.raises(ValueError, match="whole steps"):
        Grid(*ends)


def test_a_drawn_value_is_the_point_without_rounding_errors() -> None:
    assert choose(_Constant(0.1 * 3), "wa", Grid(0.0, 1.0, 0.1)) == 0.3 != 0.1 * 3


class _Constant(Replay):
    def __init__(self, value: float) -> None:
        self.value = value

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None
    ) -> float:
        return self.value
