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
