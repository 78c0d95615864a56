"""What the data asks of a network, its stems and classifier heads, and the layers that blocks share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from search_spaces.cost import Tally

Activation = Literal["relu", "hswish"]


@dataclass(frozen=True)
class Task:
    """What the data asks of a network: classes, side of the square image in pixels, image channels.

    ``small_images`` keeps the stem from downsampling, for data the size of CIFAR or smaller.
    """

    num_classes: int = 1000
    resolution: int = 224
    channels: int = 3
    small_images: bool = False

    def __post_init__(self) -> None:
        for name in ("num_classes", "resolution", "channels"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ValueError(f"Task.{name} must be a positive int, got {value!r}")
        if type(self.small_images) is not bool:
            raise ValueError(f"Task.small_images must be true or false, got {self.small_images!r}")


IMAGENET = Task()


class End(Protocol):
    """What a network needs of a description of its stem or head; a frozen dataclass of plain values."""

    def layers(self, task: Task) -> dict[str, nn.Module]:
        """Modules by name, in the order in which they run."""

    def cost(self, x: Tally, task: Task) -> None: ...

    def __hash__(self) -> int: ...


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
    return x if x.shape[2:] == size else F.interpolate(x, size, mode="bilinear", antialias=True)


fx.wrap("resize")  # one call in a traced graph, which so stays right for images of any size


class SqueezeExcite(nn.Module):
    """Weight every channel by a gate over all of them (Hu et al. 2018); two 1x1 convolutions with bias."""

    def __init__(self, channels: int, gate_channels: int, gate: Literal["sigmoid", "hardsigmoid"]) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, gate_channels, 1)
        self.fc2 = nn.Conv2d(gate_channels, channels, 1)
        self.gate = nn.Sigmoid() if gate == "sigmoid" else nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        pooled = F.adaptive_avg_pool2d(x, 1)
        weights: Tensor = self.gate(self.fc2(F.relu(self.fc1(pooled), inplace=True)))
        return x * weights

    @staticmethod
    def cost(x: Tally, gate_channels: int, gate_kind: Literal["sigmoid", "hardsigmoid"]) -> None:
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
            maps.append(
                F.conv2d(x, weights[index], bias, self.stride, self.padding, self.dilation, self.groups)
            )
        return torch.cat(maps, 1)


@dataclass(frozen=True)
class Stem:
    """From the image to ``2 * width`` maps at a quarter of the resolution (the same, for small images).

    Deep: three 3x3 convolutions (He et al. 2019, "Bag of Tricks", ResNet-C). Plain: one 7x7, or 3x3 for
    small images.
    """

    width: int
    deep: bool

    def layers(self, task: Task) -> dict[str, nn.Module]:
        stride = 1 if task.small_images else 2
        if self.deep:
            conv1: nn.Module = nn.Sequential(
                nn.Conv2d(task.channels, self.width, 3, stride, 1, bias=False),
                nn.BatchNorm2d(self.width),
                nn.ReLU(inplace=True),
                nn.Conv2d(self.width, self.width, 3, 1, 1, bias=False),
                nn.BatchNorm2d(self.width),
                nn.ReLU(inplace=True),
                nn.Conv2d(self.width, 2 * self.width, 3, 1, 1, bias=False),
            )
        else:
            size = 3 if task.small_images else 7
            conv1 = nn.Conv2d(task.channels, 2 * self.width, size, stride, size // 2, bias=False)
        layers = {"conv1": conv1, "bn1": nn.BatchNorm2d(2 * self.width), "relu": nn.ReLU(inplace=True)}
        return layers if task.small_images else layers | {"maxpool": nn.MaxPool2d(3, 2, 1)}

    def cost(self, x: Tally, task: Task) -> None:
        stride = 1 if task.small_images else 2
        if self.deep:
            x.conv2d(self.width, 3, stride, 1)
            x.norm()
            x.relu()
            x.conv2d(self.width, 3, 1, 1)
            x.norm()
            x.relu()
            x.conv2d(2 * self.width, 3, 1, 1)
        else:
            size = 3 if task.small_images else 7
            x.conv2d(2 * self.width, size, stride, size // 2)
        x.norm()
        x.relu()
        if not task.small_images:
            x.max_pool(3, 2, 1)


@dataclass(frozen=True)
class SimpleStem:
    """One 3x3 convolution from the image to ``width`` maps at half the resolution (the same, small images).

    With a ``resolution`` the image is first resized to it (see ``side``).
    """

    width: int
    activation: Activation = "relu"
    bias: bool = False
    resolution: int | None = None

    def side(self, task: Task) -> int:
        """Pixels on a side of what the convolution sees.

        ``resolution`` is meant for photographs. Small images are resized in proportion, so that 224 leaves
        them as they are, 160 shrinks CIFAR's 32 pixels to 23, and the knob keeps its meaning.
        """
        if self.resolution is None:
            return task.resolution
        if not task.small_images:
            return self.resolution
        return max(1, round(task.resolution * self.resolution / IMAGENET.resolution))

    def layers(self, task: Task) -> dict[str, nn.Module]:
        stride = 1 if task.small_images else 2
        resize = {} if self.resolution is None else {"resize": Resize(self.side(task))}
        return resize | {
            "conv1": nn.Conv2d(task.channels, self.width, 3, stride, 1, bias=self.bias),
            "bn1": nn.BatchNorm2d(self.width),
            "act1": activation(self.activation),
        }

    def cost(self, x: Tally, task: Task) -> None:
        x.height = x.width = self.side(task)
        x.conv2d(self.width, 3, 1 if task.small_images else 2, 1, bias=self.bias)
        x.norm()
        activation_cost(self.activation, x)


@dataclass(frozen=True)
class Head:
    """Global average pooling and a linear classifier."""

    in_channels: int

    def layers(self, task: Task) -> dict[str, nn.Module]:
        return {
            "avgpool": nn.AdaptiveAvgPool2d(1),
            "flatten": nn.Flatten(1),
            "fc": nn.Linear(self.in_channels, task.num_classes),
        }

    def cost(self, x: Tally, task: Task) -> None:
        x.global_avg_pool()
        x.fc(task.num_classes)


@dataclass(frozen=True)
class ExpandedHead:
    """MobileNetV3's head: widen, pool, widen without norm or bias, classify; 1x1 convolutions throughout.

    Pools a second time, which changes nothing, as the authors' classifier does: their counts include it.
    """

    in_channels: int
    width: int
    features: int

    def layers(self, task: Task) -> dict[str, nn.Module]:
        return {
            "expand": nn.Conv2d(self.in_channels, self.width, 1, bias=False),
            "expand_bn": nn.BatchNorm2d(self.width),
            "expand_act": activation("hswish"),
            "avgpool": nn.AdaptiveAvgPool2d(1),
            "embed": nn.Conv2d(self.width, self.features, 1, bias=False),
            "embed_act": activation("hswish"),
            "embed_pool": nn.AdaptiveAvgPool2d(1),
            "classifier": nn.Conv2d(self.features, task.num_classes, 1),
            "flatten": nn.Flatten(1),
        }

    def cost(self, x: Tally, task: Task) -> None:
        x.conv2d(self.width, 1)
        x.norm()
        x.hswish()
        x.global_avg_pool()
        x.conv2d(self.features, 1)
        x.hswish()
        x.global_avg_pool()
        x.conv2d(task.num_classes, 1, bias=True)
