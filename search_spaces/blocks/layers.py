"""The layers that blocks share, each with its cost."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from search_spaces.cost import Tally

Activation = Literal["relu", "hswish"]


def activation(kind: Activation) -> nn.Module:
    return nn.ReLU(inplace=True) if kind == "relu" else nn.Hardswish()


def activation_cost(kind: Activation, x: Tally) -> None:
    x.relu() if kind == "relu" else x.hswish()


class Resize(nn.Module):
    """Images to ``side`` x ``side`` pixels, bilinear with antialiasing; as they are if that is their size."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x: Tensor) -> Tensor:
        return resize(x, self.side)


def resize(x: Tensor, side: int) -> Tensor:
    size = (side, side)
    return (
        x
        if x.shape[2:] == size
        else F.interpolate(x, size, mode="bilinear", antialias=True)
    )


# one call in a traced graph, which so stays right for images of any size
fx.wrap("resize")


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
        weights: Tensor = self.gate(self.fc2(F.relu(self.fc1(pooled), inplace=True)))
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


class DepthwiseSplits(nn.Conv2d):
    """Depthwise convolution with channel multiplier that writes radix-major: every channel's first map first.

    ``nn.Conv2d`` writes the maps of one channel side by side. Weight and bias stand in the order of the
    output, so that a batch norm after it can be folded in as into any convolution.
    """

    def forward(self, x: Tensor) -> Tensor:
        splits = self.out_channels // self.in_channels
        weights = self.weight.chunk(splits)
        biases = None if self.bias is None else self.bias.chunk(splits)
        maps = []
        for index in range(splits):  # not over the chunks: fx cannot follow that
            bias = None if biases is None else biases[index]
            # each split is a plain depthwise convolution of the same input
            maps.append(
                F.conv2d(
                    x,
                    weights[index],
                    bias,
                    self.stride,
                    self.padding,
                    self.dilation,
                    self.groups,
                )
            )
        return torch.cat(maps, 1)
