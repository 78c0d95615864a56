"""A space of one's own, of small networks with knobs that only some have: samplers keep their contract there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

from nas.samplers.base import Sampler
from nas.samplers.proposer import Proposer
from nas.samplers.registry import make_sampler
from nas.testing import SamplerContract
from search_spaces import Arch, Bottleneck, Description, Head, SearchSpace, Stem, choose


@dataclass(frozen=True)
class Chain(Arch):
    """Bottlenecks one after the other, each of its own width."""

    space: ClassVar[str] = "chains"
    widths: tuple[int, ...] = (4, 4)
    change: str = "conv"

    def describe(self) -> Description:
        blocks, channels = [], 8
        for width in self.widths:
            inputs, stride, radix, groups = channels, 2, 0, 1
            channels = 4 * width
            block = Bottleneck(
                inputs, width, channels, stride, radix, groups, "conv", self.change
            )
            blocks.append(block)
        return Description(Stem(4, deep=False), (tuple(blocks),), Head(channels))


@dataclass(frozen=True)
class Chains(SearchSpace):
    """A width is a knob only where its block is."""

    arch_type: ClassVar[type[Arch]] = Chain
    blocks: tuple[int, ...] = (1, 2, 3)
    width: tuple[int, ...] = (2, 3, 4, 6, 8, 12)
    change: tuple[str, ...] = ("conv", "avg_pool")

    def suggest(self, trial: Any) -> Chain:
        blocks = choose(trial, "blocks", self.blocks)
        names = [f"width{place}" for place in range(blocks)]
        widths = tuple(choose(trial, name, self.width) for name in names)
        return Chain(widths, choose(trial, "change", self.change))

    def params(self, arch: Arch) -> dict[str, Any]:
        assert isinstance(arch, Chain)
        widths = {f"width{place}": width for place, width in enumerate(arch.widths)}
        return {"blocks": len(arch.widths), "change": arch.change} | widths


class TestOwnSpace(SamplerContract):
    trials = 20

    @pytest.fixture
    def space(self) -> SearchSpace:
        return Chains()

    @pytest.fixture(params=["random", "evolution", "nsga2", "tpe"])
    def sampler(self, request: pytest.FixtureRequest) -> Sampler:
        return make_sampler(request.param, 0)


WIDTHS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48)


def qualities(space: Chains, sampler: str, trials: int) -> list[float]:
    """Of what was tried, in order; the best networks have two blocks, the second one wide."""

    def quality(arch: Arch) -> float:
        assert isinstance(arch, Chain)
        *others, last = arch.widths
        return last - 0.5 * float(np.mean([*others, 0])) - abs(len(arch.widths) - 2)

    made = Proposer(space, {"quality": "max"}, make_sampler(sampler, 0))
    found = []
    for _ in range(trials):
        proposal = made.ask()
        assert proposal is not None
        found.append(quality(proposal.arch))
        made.tell(proposal.trial, "complete", {"quality": found[-1]})
    return found


def test_knobs_that_only_some_networks_have_are_learned() -> None:
    space = Chains(width=WIDTHS)
    chance = np.mean(qualities(space, "random", 30))
    assert np.mean(qualities(space, "evolution", 30)[15:]) > chance + 5


def test_among_more_than_1e20_networks_it_learns_too() -> None:
    space = Chains(blocks=(20,), width=WIDTHS)
    assert len(WIDTHS) ** 20 * len(space.change) > 1e20
    chance = np.mean(qualities(space, "random", 30))
    assert np.mean(qualities(space, "evolution", 30)[15:]) > chance + 2
