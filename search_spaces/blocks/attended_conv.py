"""The k x k convolution of a block and the attention over its output, where attention is a choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import nn

from search_spaces.blocks.layers import (
    Activation,
    activation,
    activation_cost,
)
from search_spaces.blocks.split_attention import SplitAttention
from search_spaces.blocks.squeeze_excite import SqueezeExcite
from search_spaces.cost import Tally


@dataclass(frozen=True)
class AttendedConv:
    """A grouped convolution that keeps its channels, norm, activation, and a dense gate over the output.

    Split attention replaces squeeze-and-excitation and brings the convolution, ``radix * groups`` groups
    that write ``radix`` splits at the cost of one (depthwise: a filter per channel and split), and a ReLU.
    Its gate is as wide as the one it replaces and sees all channels, whatever the groups:
    docs/split_attention.md gives the reasons.
    """

    channels: int
    kernel_size: int
    stride: int
    groups: int
    activation: Activation = "relu"
    attention: Literal["none", "se", "split"] = "none"
    radix: int = 1
    gate_channels: int = 0
    gate: Literal["sigmoid", "hardsigmoid"] = "sigmoid"

    @property
    def split_groups(self) -> int:
        depthwise = self.groups == self.channels
        # a depthwise filter already sees one channel only; it cannot be divided further
        return self.groups if depthwise else self.radix * self.groups

    def build(self) -> nn.Module:
        channels = self.channels
        window = (self.kernel_size, self.stride, self.kernel_size // 2)
        if self.attention == "split":
            return SplitAttention(
                channels,
                channels,
                *window,
                radix=self.radix,
                groups=self.split_groups,
                gate_channels=self.gate_channels,
            )
        layers: list[nn.Module] = [
            nn.Conv2d(channels, channels, *window, groups=self.groups, bias=False),
            nn.BatchNorm2d(channels),
            activation(self.activation),
        ]
        if self.attention == "se":
            # after the activation, as in pycls
            layers.append(SqueezeExcite(self.channels, self.gate_channels, self.gate))
        return nn.Sequential(*layers)

    def cost(self, x: Tally) -> None:
        window = (self.kernel_size, self.stride, self.kernel_size // 2)
        if self.attention == "split":
            SplitAttention.cost(
                x,
                self.channels,
                *window,
                radix=self.radix,
                groups=self.split_groups,
                gate_channels=self.gate_channels,
            )
            return
        x.conv2d(self.channels, *window, groups=self.groups)
        x.norm()
        activation_cost(self.activation, x)
        if self.attention == "se":
            SqueezeExcite.cost(x, self.gate_channels, self.gate)
