"""The blocks of FBNetV2: the inverted residual, and the projection that stands for a skipped one."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from search_spaces.blocks.attended_conv import AttendedConv
from search_spaces.blocks.layers import activation, activation_cost
from search_spaces.blocks.residual import ResidualBlock
from search_spaces.cost import Tally


@dataclass(frozen=True)
class InvertedResidual:
    """1x1 that widens, depthwise k x k, 1x1 that narrows (Sandler et al. 2018, figure 3b).

    Without ``expand`` the first convolution is left out. The input is added where the shape stays.
    """

    in_channels: int
    conv: AttendedConv
    out_channels: int
    expand: bool = True

    @property
    def residual(self) -> bool:
        # only then do input and output have one shape
        return self.conv.stride == 1 and self.in_channels == self.out_channels

    def build(self) -> nn.Module:
        return InvertedResidualModule(self)

    def cost(self, x: Tally) -> None:
        InvertedResidualModule.cost(self, x)


class InvertedResidualModule(ResidualBlock):
    def __init__(self, spec: InvertedResidual) -> None:
        super().__init__()
        self.residual = spec.residual
        width = spec.conv.channels
        self.expand: nn.Module = nn.Identity()
        if spec.expand:
            conv = nn.Conv2d(spec.in_channels, width, 1, bias=False)
            self.expand = nn.Sequential(
                conv, nn.BatchNorm2d(width), activation(spec.conv.activation)
            )
        self.depthwise = spec.conv.build()
        # linear: a ReLU here would lose what the narrow map holds (Sandler et al. 2018, section 3.2)
        self.project = nn.Conv2d(width, spec.out_channels, 1, bias=False)
        self.project_bn = nn.BatchNorm2d(spec.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        wide = self.depthwise(self.expand(x))
        out: Tensor = self.project_bn(self.project(wide))
        return out + x if self.residual else out

    @staticmethod
    def cost(spec: InvertedResidual, x: Tally) -> None:
        if spec.expand:
            x.conv2d(spec.conv.channels, 1)
            x.norm()
            activation_cost(spec.conv.activation, x)
        spec.conv.cost(x)
        x.conv2d(spec.out_channels, 1)
        x.norm()

    @property
    def last_norm(self) -> nn.BatchNorm2d | None:
        # without a sum, a norm that starts at zero would cut the network in two
        return self.project_bn if self.residual else None


@dataclass(frozen=True)
class Projection:
    """What is left of a skipped block that changes the shape: 1x1 convolution with the stride, norm, ReLU."""

    in_channels: int
    out_channels: int
    stride: int

    def build(self) -> nn.Module:
        conv = nn.Conv2d(
            self.in_channels, self.out_channels, 1, self.stride, bias=False
        )
        return nn.Sequential(
            conv, nn.BatchNorm2d(self.out_channels), activation("relu")
        )

    def cost(self, x: Tally) -> None:
        x.conv2d(self.out_channels, 1, self.stride)
        x.norm()
        x.relu()
