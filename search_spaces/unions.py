"""Several spaces as one: the family is a knob, and each family's knobs are conditional on it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from search_spaces.arch import Arch
from search_spaces.knobs import Knobs, KnobValue, Trial, choose
from search_spaces.network import complexity
from search_spaces.sampling.limits import CostLimits
from search_spaces.sampling.mutation import ReplayTrial
from search_spaces.space import SearchSpace
from search_spaces.task import IMAGENET, Task

FAMILY = "family"
CROSSING_RATE = 0.1
"""Share of mutations that lead into another family."""
CROSSING_POOL = 200
"""Random networks of the other family at most, of which the one nearest in MACs is taken."""
LIKE_COST = 0.2
"""Distance in log MACs at which a network of another family is near enough."""


@dataclass(frozen=True)
class MemberTrial:
    """A trial as one family sees it: its knobs stand under ``family.knob`` in the trial of the union."""

    trial: Trial
    family: str

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        return self.trial.suggest_int(f"{self.family}.{name}", low, high, step=step)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None
    ) -> float:
        return self.trial.suggest_float(f"{self.family}.{name}", low, high, step=step)

    def suggest_categorical(
        self, name: str, choices: Sequence[KnobValue]
    ) -> KnobValue | None:
        return self.trial.suggest_categorical(f"{self.family}.{name}", choices)


@dataclass(frozen=True)
class Union(SearchSpace):
    """The networks of all ``members``, drawn evenly from family to family, or in proportion to ``shares``.

    A family is called by its space's name (``resnest``), a second one of that name ``resnest-2``, and so on.
    Knobs are ``family`` and ``<family>.<knob>``.

    Raises:
        ValueError: for fewer than two members, shares that are no positive numbers, or one space twice with
            knobs that overlap, since a network would then belong to both.
    """

    # isinstance checks of an architecture's own family happen in _place
    arch_type: ClassVar[type[Arch]] = Arch  # type: ignore[type-abstract]  # any family's

    members: tuple[SearchSpace, ...]
    shares: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.members)
        if count < 2:
            raise ValueError(f"a union needs at least two spaces, got {count}")
        if not self.shares:
            object.__setattr__(self, "shares", (1.0,) * count)
        if len(self.shares) != count:
            raise ValueError(
                f"a union of {count} spaces needs as many shares, got {self.shares}"
            )
        for member, share in zip(self.members, self.shares, strict=True):
            if not (type(share) in (int, float) and 0 < share < math.inf):
                raise ValueError(
                    f"space {member.arch_type.space}: share must be positive, got {share!r}"
                )
        for place, member in enumerate(self.members):
            for other in self.members[:place]:
                _check_disjoint(other, member)

    @property
    def families(self) -> dict[str, SearchSpace]:
        """The members by their names in the union."""
        named: dict[str, SearchSpace] = {}
        for member in self.members:
            name = member.arch_type.space
            twins = sum(other.arch_type is member.arch_type for other in named.values())
            named[f"{name}-{twins + 1}" if twins else name] = member
        return named

    def suggest(self, trial: Trial) -> Arch:
        families = self.families
        family = choose(trial, FAMILY, tuple(families))
        return families[family].suggest(MemberTrial(trial, family))

    def params(self, arch: Arch) -> Knobs:
        family, knobs = self._place(arch)
        return {FAMILY: family} | {
            f"{family}.{name}": value for name, value in knobs.items()
        }

    def family_of(self, arch: Arch) -> str:
        """The name of the family that ``arch`` belongs to.

        Raises:
            ValueError: if it is in none.
        """
        return self._place(arch)[0]

    def _place(self, arch: Arch) -> tuple[str, Knobs]:
        """The family of ``arch`` and its knobs there."""
        kin = {
            name: member
            for name, member in self.families.items()
            if isinstance(arch, member.arch_type)
        }
        for name, member in kin.items():
            knobs = member.params(arch)
            # one family may stand here twice, with different choices: only one of them gives this network
            if (
                len(kin) == 1
                or member.suggest(ReplayTrial(knobs, np.random.default_rng(0))) == arch
            ):
                return name, knobs
        raise ValueError(
            f"the union of {', '.join(self.families)} has no {type(arch).__name__} like {arch.id}"
        )

    def _draw(self, rng: Generator) -> Arch:
        # the family first, then a network of it: a family with more networks is not drawn more often
        place = self._pick(rng, range(len(self.members)))
        return self.members[place].sample(rng)

    def samples(
        self,
        rng: Generator,
        limits: CostLimits | None = None,
        task: Task = IMAGENET,
    ) -> Iterator[Arch]:
        """As ``SearchSpace.samples``; a family that has nothing (more) inside the limits is left out."""
        draws = {
            place: member.samples(rng, limits, task)
            for place, member in enumerate(self.members)
        }
        reasons = []
        while draws:
            place = self._pick(rng, draws)
            try:
                yield next(draws[place])
            except ValueError as reason:
                # this family has nothing left; the others go on with its share
                reasons.append(str(reason))
                del draws[place]
        raise ValueError("; ".join(reasons))

    def _pick(
        self, rng: Generator, places: Sequence[int] | Mapping[int, object]
    ) -> int:
        """One of these members, by their shares."""
        open_places = list(places)
        shares = np.array([self.shares[place] for place in open_places])
        return int(rng.choice(open_places, p=shares / shares.sum()))

    def mutate(self, arch: Arch, rng: Generator) -> Arch:
        """Another network one small change away; now and then one of another family, of like cost.

        Raises:
            ValueError: if ``arch`` is not in this space, or nothing else is.
        """
        home = self.family_of(arch)
        if rng.random() < CROSSING_RATE:
            return self._cross(arch, home, rng)
        try:
            return self.families[home].mutate(arch, rng)
        except ValueError:  # the only network of its family
            return self._cross(arch, home, rng)

    def _cross(self, arch: Arch, home: str, rng: Generator) -> Arch:
        others = [place for place, name in enumerate(self.families) if name != home]
        member = self.members[self._pick(rng, others)]
        macs = complexity(arch).macs
        nearest = arch
        distance = math.inf
        # A crossing keeps the cost, not the knobs: two families have no knobs in
        # common, and a network of
        # like cost is the fairest rival.
        for _ in range(CROSSING_POOL):
            other = member.sample(rng)
            off = abs(math.log(complexity(other).macs / macs))
            if off < distance:
                nearest = other
                distance = off
            if distance < LIKE_COST:
                break
        return nearest

    def knobs(self) -> dict[str, Sequence[KnobValue]]:
        families = self.families
        inside = {
            f"{family}.{knob}": choices
            for family, member in families.items()
            for knob, choices in member.knobs().items()
        }
        return {FAMILY: tuple(families), **inside}

    def narrowed(self, knob: str, choices: Sequence[KnobValue]) -> SearchSpace:
        """This space with other choices for one knob; one family alone is that family's own space."""
        families = self.families
        if knob == FAMILY:
            kept = [place for place, name in enumerate(families) if name in choices]
            if len(kept) == 1:
                return self.members[kept[0]]
            return Union(
                tuple(self.members[place] for place in kept),
                tuple(self.shares[place] for place in kept),
            )
        family, _, inner = knob.partition(".")
        families[family] = families[family].narrowed(inner, choices)
        return replace(self, members=tuple(families.values()))


def union(*spaces: SearchSpace, shares: Sequence[float] = ()) -> Union:
    """``spaces`` as one space; ``shares`` say how often each is drawn, evenly if there are none.

    Raises:
        ValueError: as ``Union`` does.
    """
    return Union(spaces, tuple(shares))


def _check_disjoint(one: SearchSpace, other: SearchSpace) -> None:
    """Raise ``ValueError`` if two members of one family share networks, as far as their knobs tell."""
    if one.arch_type is not other.arch_type:
        return
    mine = one.knobs()
    theirs = other.knobs()
    both = {
        knob: [value for value in mine[knob] if value in theirs[knob]]
        for knob in mine
        if knob in theirs
    }
    if not all(both.values()):
        return
    named = one.arch_type.space
    apart = {name: both[name] for name in both if mine[name] != theirs[name]}
    if not apart:
        raise ValueError(
            f"space {named} stands in the union twice with the same knobs: leave one out"
        )
    shared = ", ".join(f"{name} {values[0]}" for name, values in apart.items())
    raise ValueError(
        f"space {named} stands in the union twice and its knobs overlap: {shared} "
        f"in both; give the two different values of one knob"
    )
