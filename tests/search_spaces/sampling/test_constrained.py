from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch

from search_spaces import IMAGENET, Arch, Cost, Task, complexity, get_space
from search_spaces.sampling import constrained as sampling
from search_spaces.sampling.limits import CostLimits

SPACE = get_space("resnest")
CIFAR = Task(num_classes=10, resolution=32, small_images=True)


@cache
def plain(count: int = 12_000) -> list[tuple[Arch, Cost]]:
    rng = np.random.default_rng(1)
    archs = [SPACE.sample(rng) for _ in range(count)]
    return [(arch, complexity(arch)) for arch in archs]


def surprise(ours: Sequence[Any], theirs: Sequence[Any]) -> float:
    """Two-sample chi-square as standard deviations of a normal (Wilson and Hilferty 1931).

    Values that are rare in the two samples together are counted as one.
    """
    total = Counter(ours) + Counter(theirs)
    common = [value for value, times in total.items() if times >= 20]
    table = np.array(
        [
            [sample.count(value) for value in common]
            for sample in (list(ours), list(theirs))
        ]
    )
    table = np.column_stack([table, np.array([len(ours), len(theirs)]) - table.sum(1)])
    table = table[:, table.sum(0) > 0]
    freedom = table.shape[1] - 1
    if freedom == 0:
        return 0.0
    expected = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
    chi_square = float(((table - expected) ** 2 / expected).sum())
    return ((chi_square / freedom) ** (1 / 3) - 1 + 2 / (9 * freedom)) / (
        2 / (9 * freedom)
    ) ** 0.5


def surprises(ours: Sequence[Arch], theirs: Sequence[Arch]) -> dict[str, float]:
    mine, other = (
        [SPACE.params(arch) for arch in ours],
        [SPACE.params(arch) for arch in theirs],
    )
    return {
        name: surprise(
            [params.get(name) for params in mine],
            [params.get(name) for params in other],
        )
        for name in SPACE.knobs()
    }


@pytest.mark.parametrize(
    "limits",
    [
        {"macs": (3.7e9, 4.3e9)},
        {"params": (None, 12e6)},
        {"macs": (None, 8e9), "params": (30e6, 36e6)},
        {"flops": (None, 20e9), "activations": (20e6, 21e6)},
    ],
)
def test_knobs_are_distributed_as_in_rejection_sampling(limits: CostLimits) -> None:
    theirs = [arch for arch, cost in plain() if inside(cost, limits)]
    assert 150 < len(theirs) < 0.05 * len(plain()), (
        "few enough for more than plain draws"
    )
    ours = list(islice(SPACE.samples(np.random.default_rng(0), limits), len(theirs)))
    measured = surprises(ours, theirs)
    assert max(measured.values()) < 3.5, measured
    assert np.mean(list(measured.values())) < 0.8, (
        "16 knobs, so a quarter is one standard deviation"
    )


@pytest.mark.slow
def test_draws_that_start_from_the_last_one_are_distributed_so_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sampling, "RARE", 1.0)
    limits = {"macs": (3.5e9, 4.5e9), "params": (None, 25e6)}
    theirs = [arch for arch, cost in plain() if inside(cost, limits)]
    assert 150 < len(theirs) < 0.05 * len(plain())
    ours = list(islice(SPACE.samples(np.random.default_rng(0), limits), len(theirs)))
    measured = surprises(ours, theirs)
    assert max(measured.values()) < 3.5, measured


def inside(cost: Cost, limits: CostLimits) -> bool:
    spans = [
        (metric, *limit) for metric, limit in limits.items() if isinstance(limit, tuple)
    ]
    return all(
        (low or 0) <= getattr(cost, metric) <= (high or np.inf)
        for metric, low, high in spans
    )


@pytest.mark.parametrize(
    ("limits", "task", "count"),
    [
        ({"macs": (3.92e9, 4.08e9)}, IMAGENET, 100),
        ({"macs": (3.92e9, 4.08e9), "params": (None, 15e6)}, IMAGENET, 30),
        ({"macs": (392e6, 408e6), "activations": (None, 3e6)}, CIFAR, 30),
        (
            {"flops": (None, 1e11), "params": (5e6, None)},
            Task(resolution=97, channels=1),
            30,
        ),
        ({"macs": (600e6, 612e6)}, IMAGENET, 5),
    ],
)
def test_draws_are_different_and_inside(
    limits: CostLimits, task: Task, count: int
) -> None:
    drawn = list(islice(SPACE.samples(np.random.default_rng(0), limits, task), count))
    assert len({arch.id for arch in drawn}) == count
    assert all(inside(complexity(arch, task), limits) for arch in drawn)


def test_a_number_is_an_upper_limit_and_both_ends_belong_to_it() -> None:
    arch = SPACE.sample(np.random.default_rng(0), {"params": 12_000_000})
    params = complexity(arch).params
    assert params <= 12_000_000
    narrow = get_space(
        "resnest", **{name: [value] for name, value in SPACE.params(arch).items()}
    )
    for limit in (params, (params, params), [params, None]):
        assert narrow.sample(np.random.default_rng(0), {"params": limit}) == arch
    with pytest.raises(
        ValueError, match="found no architecture of space resnest with params at most"
    ):
        narrow.sample(np.random.default_rng(0), {"params": params - 1})


def test_without_limits_every_choice_is_equally_likely() -> None:
    drawn = list(islice(SPACE.samples(np.random.default_rng(0)), 1000))
    assert max(surprises(drawn, [arch for arch, _ in plain()]).values()) < 3.5
    assert (
        SPACE.sample(np.random.default_rng(0), {})
        == SPACE.sample(np.random.default_rng(0))
        == drawn[0]
    )


def test_draws_repeat_with_their_seed_and_leave_torch_alone() -> None:
    limits = {"macs": (3.92e9, 4.08e9)}
    state = torch.random.get_rng_state()
    first, second = (
        list(islice(SPACE.samples(np.random.default_rng(0), limits), 50))
        for _ in range(2)
    )
    assert first == second
    with torch.inference_mode():
        assert (
            list(islice(SPACE.samples(np.random.default_rng(0), limits), 50)) == first
        )
    assert torch.equal(state, torch.random.get_rng_state())


def test_limits_out_of_reach_are_answered_with_the_nearest() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(
        ValueError,
        match=r"resnest with macs within 100M..110M; the nearest drawn has 215.6M macs",
    ):
        SPACE.sample(rng, {"macs": (100e6, 110e6)})
    with pytest.raises(
        ValueError,
        match="macs at most 1000M and params at least 200M; the nearest drawn has",
    ):
        SPACE.sample(rng, {"macs": 1e9, "params": (200e6, None)})


def test_the_last_architecture_is_followed_by_an_error() -> None:
    one = {name: choices[0] for name, choices in SPACE.knobs().items()}
    space = get_space("resnest", **one | {"depth1": [1, 2, 3], "avd": [True, False]})
    drawn = space.samples(np.random.default_rng(0), {"macs": 1e12})
    assert len({arch.id for arch in islice(drawn, 6)}) == 6
    with pytest.raises(
        ValueError,
        match="found only 6 architectures of space resnest with macs at most",
    ):
        next(drawn)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (
            {"mac": 1e9},
            "unknown limit 'mac'; did you mean macs",
        ),
        ({"macs": (2e9, 1e9)}, "limit on macs must have 0 <= low <= high"),
        ({"macs": (-1, 1e9)}, "limit on macs must have 0 <= low <= high"),
        ({"macs": 0}, "limit on macs must have 0 <= low <= high"),
        ({"macs": float("nan")}, "limit on macs must have 0 <= low <= high"),
        ({"macs": (1, 2, 3)}, "limit on macs must be a number or a pair"),
        ({"macs": "1e9"}, "limit on macs must be a number or a pair"),
        ({"macs": (None, True)}, "limit on macs must be a number or a pair"),
    ],
)
def test_a_wrong_limit_is_named_at_once(limits: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SPACE.samples(np.random.default_rng(0), limits)
