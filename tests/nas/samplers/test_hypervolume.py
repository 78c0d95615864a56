from __future__ import annotations

import moocore
import numpy as np
import pytest

from nas.samplers.hypervolume import crowding, hypervolume_gains, undominated


def test_crowding_is_infinite_at_the_ends_and_large_where_it_is_lonely() -> None:
    gaps = crowding(np.array([[0.0, 1.0], [0.1, 0.8], [0.2, 0.7], [1.0, 0.0]]))
    assert np.isinf(gaps[[0, 3]]).all()
    assert gaps[2] > gaps[1]


@pytest.mark.parametrize("objectives", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("size", [0, 1, 2, 12])
def test_gains_are_what_the_hypervolume_grows_by(objectives: int, size: int) -> None:
    rng = np.random.default_rng(size)
    front, points = (
        rng.random((size, objectives)),
        rng.random((30, objectives)) * 1.2 - 0.1,
    )
    front[rng.random(front.shape) < 0.3] = 0.5  # ties
    seen = np.array([np.zeros(objectives), np.ones(objectives)])
    gains = hypervolume_gains(points, front, seen)

    def volume(rows: np.ndarray) -> float:  # type: ignore[type-arg]
        rows = np.minimum(np.vstack([rows, np.full(objectives, 1.1)]), 1.1)
        # moocore wants two objectives
        wide = np.hstack([rows, np.zeros((len(rows), 1))])
        return float(
            moocore.hypervolume(wide, ref=np.append(np.full(objectives, 1.1), 1.0))
        )

    expected = [volume(np.vstack([front, point])) - volume(front) for point in points]
    assert gains == pytest.approx(expected, abs=1e-9)


def test_gains_have_the_shape_of_the_points() -> None:
    points = np.random.default_rng(0).random((4, 6, 2))
    front, seen = points[0, :2], points[0]
    gains = hypervolume_gains(points, front, seen)
    assert gains.shape == (4, 6)
    assert gains[2, 3] == pytest.approx(
        hypervolume_gains(points[2, 3][None], front, seen)[0]
    )


def test_of_equal_points_one_is_undominated() -> None:
    losses = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    assert undominated(losses).tolist() == [True, True, False, False]
