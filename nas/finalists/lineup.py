"""Which trainings there are to be: network after network, seed after seed; as a file, and as a proposer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from nas.runs.folder import LINEUP
from nas.samplers.proposer import Proposal
from results import write_atomic
from results.metrics import MetricValues
from results.objectives import Directions
from results.strict_json import dumps
from search_spaces import Arch, SearchSpace, arch_from_dict, get_space
from search_spaces.joint import OF_TRAINING, network_of, settings_of
from search_spaces.knobs import Knobs
from search_spaces.unions import FAMILY, Union


class Role(StrEnum):
    """Why a network is trained in full."""

    FINALIST = "finalist"
    PUBLISHED = "published"
    RANDOM = "random"
    OWN = "own"


@dataclass(frozen=True)
class Entrant:
    """One training. ``trial`` is the network's number in the search, ``known`` what was measured of it there."""

    arch: Arch
    role: Role
    name: str
    seed: int = 0
    trial: int | None = None
    known: Mapping[str, object] = field(default_factory=dict)

    def again(self, seed: int) -> Entrant:
        """The same network with another seed."""
        return replace(self, seed=seed)

    def to_dict(self) -> dict[str, object]:
        plain = {
            name: getattr(self, name) for name in ("role", "name", "seed", "trial")
        }
        return plain | {"arch": self.arch.to_dict(), "known": dict(self.known)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Entrant:
        arch = arch_from_dict(values["arch"])
        role = Role(values["role"])
        return cls(**{**values, "arch": arch, "role": role})


def write_lineup(folder: Path, entrants: Iterable[Entrant]) -> None:
    content = [entrant.to_dict() for entrant in entrants]
    write_atomic(folder / LINEUP, dumps(content, indent=1) + "\n")


def read_lineup(folder: Path) -> list[Entrant]:
    """Raises ``ValueError`` for a file that is missing or damaged."""
    path = folder / LINEUP
    try:
        rows = json.loads(path.read_text())
        return [Entrant.from_dict(each) for each in rows]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path}: cannot be read ({error})") from error


@dataclass
class Lineup:
    """The proposer of a fixed list: trial n is its nth training, and nothing is learnt."""

    space: SearchSpace
    objectives: Directions
    entrants: Sequence[Entrant]
    _next: int = 0

    def knobs(self, arch: Arch) -> Knobs:
        """As the search's own table has them, with what was chosen for the training."""
        own = {
            f"{OF_TRAINING}.{name}": value for name, value in settings_of(arch).items()
        }
        return self._of_network(network_of(arch)) | own

    def _of_network(self, arch: Arch) -> Knobs:
        """Those of a network from elsewhere by its own family's space."""
        families = (
            self.space.families if isinstance(self.space, Union) else {"": self.space}
        )
        try:
            if any(isinstance(arch, each.arch_type) for each in families.values()):
                return self.space.params(arch)
        except ValueError:  # of a family that is searched, but not in the part that is
            pass
        own = get_space(arch.space).params(arch)
        if not isinstance(self.space, Union):
            return own
        return {FAMILY: arch.space} | {f"{arch.space}.{key}": own[key] for key in own}

    def ask(self) -> Proposal | None:
        if self._next == len(self.entrants):
            return None
        entrant = self.entrants[self._next]
        self._next += 1
        return Proposal(self._next - 1, entrant.arch, seed=entrant.seed)

    def tell(self, trial: int, status: str, metrics: MetricValues) -> None:
        """Nothing: the list is what it is."""

    def replay(self, trial: int, arch: Arch, duplicate_of: int | None = None) -> None:
        # the list is in order, so the highest number tells how far it is
        self._next = max(self._next, trial + 1)
