"""The residual block of RegNet, plain (RegNetX), with squeeze-and-excitation (RegNetY) or split attention."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from search_spaces.blocks.attended_conv import AttendedConv
from search_spaces.blocks.residual import ResidualBlock
from search_spaces.cost import Tally


@dataclass(frozen=True)
class RegNetBlock:
    """1x1, 3x3 in groups, 1x1, without a bottleneck (Radosavovic et al. 2020, figure 4).

    A block that changes the shape projects its shortcut with a strided 1x1 convolution.
    """

    in_channels: int
    conv: AttendedConv

    @property
    def projects(self) -> bool:
        return self.conv.stride > 1 or self.in_channels != self.conv.channels

    def build(self) -> nn.Module:
        return RegNetBlockModule(self)

    def cost(self, x: Tally) -> None:
        RegNetBlockModule.cost(self, x)


class RegNetBlockModule(ResidualBlock):
    def __init__(self, spec: RegNetBlock) -> None:
        super().__init__()
        width = spec.conv.channels
        self.conv1 = nn.Conv2d(spec.in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = spec.conv.build()
        self.conv3 = nn.Conv2d(width, width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.downsample: nn.Module = nn.Identity()
        if spec.projects:
            conv = nn.Conv2d(spec.in_channels, width, 1, spec.conv.stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        narrow = self.bn1(self.conv1(x))
        out = F.relu(narrow, inplace=True)
        out = self.conv2(out)
        out = self.bn3(self.conv3(out))
        return F.relu(out + self.downsample(x), inplace=True)

    @staticmethod
    def cost(spec: RegNetBlock, x: Tally) -> None:
        width = spec.conv.channels
        shortcut = x.branch()
        x.conv2d(width, 1)
        x.norm()
        x.relu()
        spec.conv.cost(x)
        x.conv2d(width, 1)
        x.norm()
        if spec.projects:
            shortcut.conv2d(width, 1, spec.conv.stride)
            # no activation: it comes after the sum, as in ResNet
            shortcut.norm()
        x.add(shortcut)
        x.relu()

    @property
    def last_norm(self) -> nn.BatchNorm2d:
        return self.bn3
