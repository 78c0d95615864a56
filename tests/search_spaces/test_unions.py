"""Several families as one space, beyond the contract that it inherits with all spaces."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import Any

import numpy as np
import optuna
import pytest

from search_spaces import Arch, SearchSpace, complexity, get_space, reference, union

FAMILIES: list[Any] = [
    "resnest",
    {"name": "regnety", "attention": ["se", "split"]},
    "fbnetv2",
]


@pytest.fixture
def space() -> SearchSpace:
    return get_space(FAMILIES)


def families(archs: list[Arch]) -> Counter[str]:
    return Counter(arch.space for arch in archs)


def test_families_are_drawn_evenly_inside_limits(space: SearchSpace) -> None:
    drawn = list(
        islice(space.samples(np.random.default_rng(0), {"macs": (100e6, 600e6)}), 150)
    )
    assert len({arch.id for arch in drawn}) == 150
    assert all(100e6 <= complexity(arch).macs <= 600e6 for arch in drawn)
    assert all(30 <= count <= 70 for count in families(drawn).values())


def test_families_are_drawn_by_their_shares() -> None:
    space = get_space([{"name": "resnest", "share": 3}, "fbnetv2"])
    rng = np.random.default_rng(0)
    # 300, four errors wide
    assert 270 <= families([space.sample(rng) for _ in range(400)])["resnest"] <= 330


def test_a_family_outside_the_limits_is_left_out(space: SearchSpace) -> None:
    limits = {"macs": 40e6}  # at 224 pixels; a ResNeSt has far more
    drawn = list(islice(space.samples(np.random.default_rng(0), limits), 20))
    assert "resnest" not in families(drawn)
    with pytest.raises(ValueError) as error:  # noqa: PT011 - its text is looked at below
        next(space.samples(np.random.default_rng(0), {"macs": 1.0}))
    assert all(
        family in str(error.value) for family in ("resnest", "regnety", "fbnetv2")
    )


def test_mutation_stays_or_crosses_to_a_network_of_like_cost(
    space: SearchSpace,
) -> None:
    rng = np.random.default_rng(0)
    home = reference("resnest50_fast_2s1x64d")
    crossed = []
    for _ in range(150):
        other = space.mutate(space.suggest(Fixed(space.params(home))), rng)
        assert other.id != home.id
        if other.space != "resnest":
            crossed.append(complexity(other).macs / complexity(home).macs)
    assert 4 <= len(crossed) <= 30
    assert np.median(crossed) == pytest.approx(1, rel=0.3)


Fixed = optuna.trial.FixedTrial


def test_one_family_twice_needs_knobs_apart() -> None:
    apart = get_space(
        [{"name": "resnest", "radix": 1}, {"name": "resnest", "radix": [2, 4]}]
    )
    rng = np.random.default_rng(0)
    for arch in [apart.sample(rng) for _ in range(20)]:
        family = apart.params(arch)["family"]
        assert family == ("resnest" if arch.to_dict()["radix"] == 1 else "resnest-2")


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ([], "space must be a name or a list"),
        ([3], "a space of a list is a name"),
        ([{"radix": 2}, "resnest"], "a space of a list is a name"),
        (["resnest", "resnets"], "resnets"),
        (["resnest", {"name": "regnety", "radix": 3}], "radix must be"),
        (
            ["resnest", {"name": "regnety", "share": 0}],
            "regnety: share must be positive",
        ),
        (
            ["resnest", {"name": "regnety", "share": "much"}],
            "regnety: share must be positive",
        ),
        (
            [
                {"name": "resnest", "radix": [1, 2]},
                {"name": "resnest", "radix": [2, 4]},
            ],
            "resnest stands in the union twice and its knobs overlap: radix 2 in both",
        ),
        (["fbnetv2", "resnest", "fbnetv2"], "fbnetv2 stands in the union twice with"),
        (
            ["resnest", {"name": "regnety", "num_classes": 10}],
            "regnety: num_classes is of the task, which is one for all spaces",
        ),
        (
            [{"name": "regnety", "resolution": 32}, "resnest"],
            "regnety: resolution is of the task, which is one for all spaces",
        ),
    ],
)
def test_wrong_lists_are_refused(entries: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        get_space(entries)


def test_a_list_of_one_is_that_space() -> None:
    assert get_space(["fbnetv2"]) == get_space("fbnetv2")
    with pytest.raises(ValueError, match="at least two"):
        union(get_space("resnest"))


def test_an_arch_of_no_member_is_refused() -> None:
    none = reference("regnety_400mf")
    two = union(get_space("resnest"), get_space("fbnetv2"))
    for ask in (two.params, lambda arch: two.mutate(arch, np.random.default_rng(0))):
        with pytest.raises(
            ValueError, match="the union of resnest, fbnetv2 has no RegNetY"
        ):
            ask(none)
