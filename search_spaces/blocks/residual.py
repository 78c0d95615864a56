"""What all blocks have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from torch import nn

from search_spaces.cost import Tally


class Block(Protocol):
    """What a network needs of a block's description; a frozen dataclass of plain values."""

    def build(self) -> nn.Module: ...

    def cost(self, x: Tally) -> None: ...

    def __hash__(self) -> int: ...


class ResidualBlock(nn.Module, ABC):
    """A block that adds a branch to its input."""

    @property
    @abstractmethod
    def last_norm(self) -> nn.BatchNorm2d | None:
        """The norm that ends the branch; None where nothing is added to the input."""

    def zero_gamma(self) -> None:
        """Start as the identity: the branch's last norm scales by 0 (Goyal et al. 2017, section 5.1)."""
        if self.last_norm is not None:
            nn.init.zeros_(self.last_norm.weight)
