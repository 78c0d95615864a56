"""The sixteen networks of the comparison as a space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from plain import small_network

from search_spaces import Arch, ResNeSt, SearchSpace, Trial, choose


@dataclass(frozen=True)
class Sixteen(SearchSpace):
    arch_type: ClassVar[type[Arch]] = ResNeSt
    number: Sequence[int] = range(16)

    def suggest(self, trial: Trial) -> ResNeSt:
        return small_network(choose(trial, "number", self.number))

    def params(self, arch: Arch) -> dict[str, Any]:
        return {
            "number": next(
                number for number in self.number if small_network(number) == arch
            )
        }
