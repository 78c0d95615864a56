"""Networks and settings of their training as one space."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, islice

import numpy as np
import pytest

from search_spaces import (
    Arch,
    SearchSpace,
    arch_from_dict,
    complexity,
    get_space,
    union,
)
from search_spaces.joint import JointSpace, TunedArch, network_of, settings_of, tuned
from search_spaces.testing import SpaceContract

CHOICES = (
    ("augment.shift", (0, 2, 4)),
    ("lr", (0.1, 0.2)),
    ("zero_gamma", (True, False)),
)


class TestJointSpace(SpaceContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        return JointSpace(union(get_space("resnest"), get_space("regnety")), CHOICES)

    @pytest.fixture
    def small(self) -> SearchSpace:
        return JointSpace(tiny(), CHOICES)

    def test_archs_share_an_id_exactly_if_they_share_a_description(
        self, archs: list[Arch]
    ) -> None:
        """And the settings of their training."""
        for a, b in combinations(archs, 2):
            same = network_of(a).id == network_of(b).id
            assert (a.id == b.id) == (same and settings_of(a) == settings_of(b))

    def test_a_wrong_field_is_refused_by_name(
        self, space: SearchSpace, archs: list[Arch]
    ) -> None:
        good = archs[0].to_dict()
        with pytest.raises(ValueError, match="no_such_field"):
            arch_from_dict(good | {"no_such_field": 1})
        with pytest.raises(ValueError, match=r"training: lr must be .* got \[1\]"):
            arch_from_dict(good | {"training": {"lr": [1]}})


def tiny(**knobs: object) -> SearchSpace:
    one = {f"depth{n}": 1 for n in (1, 2, 3, 4)} | {f"width{n}": 8 for n in (1, 2, 3)}
    fixed = one | {"width4": [8, 16], "radix": 1, "cardinality": 1, "stem_width": 8}
    switches = dict.fromkeys(("deep_stem", "avg_down", "avd", "avd_first"), False)
    return get_space("resnest", **(fixed | switches | {"bottleneck_width": 64} | knobs))


def test_settings_leave_network_and_costs_as_they_are() -> None:
    network = tiny().sample(np.random.default_rng(0))
    arch = tuned(network, {"lr": 0.1, "zero_gamma": True})
    assert arch.describe() == network.describe()
    assert complexity(arch) == complexity(network)
    assert arch.space == network.space
    assert arch.id not in (network.id, tuned(network, {"lr": 0.2}).id)
    # the order in which they are told says nothing
    assert arch == tuned(network, {"zero_gamma": True, "lr": 0.1})
    assert arch == arch_from_dict(arch.to_dict())
    assert tuned(arch, {}) == network


@pytest.mark.parametrize("limits", [None, {"macs": (0, 1e12)}])
def test_every_network_with_every_setting_is_drawn_once(
    limits: dict[str, tuple[float, float]] | None,
) -> None:
    space = JointSpace(tiny(), CHOICES)
    samples = space.samples(np.random.default_rng(0), limits)
    drawn = list(islice(samples, 2 * 3 * 2 * 2))
    with pytest.raises(ValueError, match="only 2 networks, and each with every"):
        next(samples)
    assert len({arch.id for arch in drawn}) == 24
    # networks first: what differs in the training only comes when there is no other
    assert len({network_of(arch).id for arch in drawn[:2]}) == 2


def test_settings_are_drawn_evenly() -> None:
    space = JointSpace(get_space("resnest"), CHOICES)
    rng = np.random.default_rng(0)
    drawn = [settings_of(space.sample(rng)) for _ in range(600)]
    drawn += map(settings_of, islice(space.samples(rng, {"macs": 1e12}), 600))
    counts = Counter(each["augment.shift"] for each in drawn)
    # 400 each, four errors wide
    assert all(335 <= counts[shift] <= 465 for shift in (0, 2, 4))


def test_a_mutation_changes_one_thing() -> None:
    space = JointSpace(get_space("resnest"), CHOICES)
    rng = np.random.default_rng(0)
    arch = space.sample(rng)
    of_training = 0
    for _ in range(300):
        other = space.mutate(arch, rng)
        changed = settings_of(other).items() - settings_of(arch).items()
        of_network = network_of(other) != network_of(arch)
        assert of_network + len(changed) == 1
        of_training += len(changed)
    # three of the knobs
    share = 3 / len(space.params(arch))
    assert abs(of_training / 300 - share) < 4 * np.sqrt(share * (1 - share) / 300)


def test_the_only_network_mutates_by_its_settings() -> None:
    space = JointSpace(tiny(width4=8), (("lr", (0.1, 0.2)),))
    arch = space.sample(np.random.default_rng(0))
    other = space.mutate(arch, np.random.default_rng(0))
    assert settings_of(other)["lr"] != settings_of(arch)["lr"]


def test_a_network_from_elsewhere_gets_the_first_choices() -> None:
    space = JointSpace(tiny(), CHOICES)
    network = tiny().sample(np.random.default_rng(0))
    first = {"augment.shift": 0, "lr": 0.1, "zero_gamma": True}
    assert settings_of(space.adopted(network)) == first
    known = TunedArch(network, (("lr", 0.2), ("augment.shift", 9)))
    assert settings_of(space.adopted(known)) == first | {"lr": 0.2}
