"""The bottleneck of ResNeSt: description, module, and the cost beside its forward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from search_spaces.blocks.residual import ResidualBlock
from search_spaces.blocks.split_attention import SplitAttention
from search_spaces.cost import Tally


@dataclass(frozen=True)
class Bottleneck:
    """1x1, 3x3 with split attention, 1x1, and a shortcut (ResNeSt, figure 2; ResNet-D shortcuts).

    ``width`` is the 3x3 convolution's channels. ``downsample`` says what strides in the residual branch: the
    3x3 convolution itself, or a 3x3 average pool after it (``avd``) or before it (``avd_first``). A
    projecting ``shortcut`` is a strided 1x1 convolution, or a 1x1 convolution after an average pool.
    ``radix`` 0 is a plain grouped convolution without attention.
    """

    in_channels: int
    width: int
    out_channels: int
    stride: int
    radix: int
    cardinality: int
    downsample: Literal["conv", "avd", "avd_first"]
    shortcut: Literal["identity", "conv", "avg_pool"]

    @property
    def conv_stride(self) -> int:
        return self.stride if self.downsample == "conv" else 1

    def build(self) -> nn.Module:
        return BottleneckBlock(self)

    def cost(self, x: Tally) -> None:
        BottleneckBlock.cost(self, x)


class BottleneckBlock(ResidualBlock):
    """Sub-modules carry the official names, in the official order."""

    def __init__(self, spec: Bottleneck) -> None:
        super().__init__()
        self.spec = spec
        width = spec.width
        groups = spec.cardinality
        self.conv1 = nn.Conv2d(spec.in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.avd_layer = (
            nn.Identity()
            if spec.downsample == "conv"
            else nn.AvgPool2d(3, spec.stride, 1)
        )
        # split attention has its norm and ReLU inside, so there is no bn2 beside it with it
        if spec.radix:
            self.conv2: nn.Module = SplitAttention(
                width,
                width,
                3,
                spec.conv_stride,
                1,
                cardinality=groups,
                radix=spec.radix,
            )
        else:
            self.conv2 = nn.Conv2d(
                width, width, 3, spec.conv_stride, 1, groups=groups, bias=False
            )
            self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, spec.out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(spec.out_channels)
        self.downsample = _shortcut(spec)

    def forward(self, x: Tensor) -> Tensor:
        narrow = self.bn1(self.conv1(x))
        out = F.relu(narrow, inplace=True)
        if self.spec.downsample == "avd_first":
            out = self.avd_layer(out)
        out = self.conv2(out)
        if not self.spec.radix:
            out = F.relu(self.bn2(out), inplace=True)
        if self.spec.downsample == "avd":
            out = self.avd_layer(out)
        out = self.bn3(self.conv3(out))
        return F.relu(out + self.downsample(x), inplace=True)

    @staticmethod
    def cost(spec: Bottleneck, x: Tally) -> None:
        # both ways start from the same map
        shortcut = x.branch()
        x.conv2d(spec.width, 1)
        x.norm()
        x.relu()
        # before the convolution it is cheaper: all that follows sees a quarter of the pixels
        if spec.downsample == "avd_first":
            x.avg_pool(3, spec.stride, 1)
        if spec.radix:
            SplitAttention.cost(
                x,
                spec.width,
                3,
                spec.conv_stride,
                1,
                cardinality=spec.cardinality,
                radix=spec.radix,
            )
        else:
            x.conv2d(spec.width, 3, spec.conv_stride, 1, groups=spec.cardinality)
            x.norm()
            x.relu()
        if spec.downsample == "avd":
            x.avg_pool(3, spec.stride, 1)
        x.conv2d(spec.out_channels, 1)
        x.norm()
        _shortcut_cost(spec, shortcut)
        # adding needs no map for its gradient
        x.add(shortcut)
        x.relu()

    @property
    def last_norm(self) -> nn.BatchNorm2d:
        return self.bn3


def _shortcut(spec: Bottleneck) -> nn.Module:
    if spec.shortcut == "identity":
        return nn.Identity()
    # ResNet-D: pooling uses every pixel where a strided 1x1 convolution skips three in four
    pool = nn.AvgPool2d(
        spec.stride, spec.stride, ceil_mode=True, count_include_pad=False
    )
    pooled = spec.shortcut == "avg_pool"
    conv = nn.Conv2d(
        spec.in_channels, spec.out_channels, 1, 1 if pooled else spec.stride, bias=False
    )
    norm = nn.BatchNorm2d(spec.out_channels)
    layers = [pool, conv, norm] if pooled else [conv, norm]
    return nn.Sequential(*layers)


def _shortcut_cost(spec: Bottleneck, x: Tally) -> None:
    if spec.shortcut == "identity":
        return
    if spec.shortcut == "avg_pool":
        x.avg_pool(spec.stride, spec.stride, ceil_mode=True)
        x.conv2d(spec.out_channels, 1)
    else:
        x.conv2d(spec.out_channels, 1, spec.stride)
    x.norm()
