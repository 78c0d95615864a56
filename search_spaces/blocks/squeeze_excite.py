"""Squeeze-and-excitation, with its cost."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from search_spaces.cost import Tally


class SqueezeExcite(nn.Module):
    """Weight every channel by a gate over all of them (Hu et al. 2018); two 1x1 convolutions with bias."""

    def __init__(
        self, channels: int, gate_channels: int, gate: Literal["sigmoid", "hardsigmoid"]
    ) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, gate_channels, 1)
        self.fc2 = nn.Conv2d(gate_channels, channels, 1)
        self.gate = nn.Sigmoid() if gate == "sigmoid" else nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        pooled = F.adaptive_avg_pool2d(x, 1)
        squeezed = F.relu(self.fc1(pooled), inplace=True)
        weights: Tensor = self.gate(self.fc2(squeezed))
        return x * weights

    @staticmethod
    def cost(
        x: Tally, gate_channels: int, gate_kind: Literal["sigmoid", "hardsigmoid"]
    ) -> None:
        # the gate's map is pooled at once, so its cost hardly depends on the resolution
        gate = x.branch()
        gate.global_avg_pool()
        gate.conv2d(gate_channels, 1, bias=True)
        gate.relu()
        gate.conv2d(x.channels, 1, bias=True)
        gate.sigmoid() if gate_kind == "sigmoid" else gate.hardsigmoid()
        x.weigh(gate)
