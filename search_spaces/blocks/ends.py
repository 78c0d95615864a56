"""The two ends of a network: stems and classifier heads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import nn

from search_spaces.blocks.layers import Activation, Resize, activation, activation_cost
from search_spaces.cost import Tally
from search_spaces.task import IMAGENET, Task


class End(Protocol):
    """What a network needs of a description of its stem or head; a frozen dataclass of plain values."""

    def layers(self, task: Task) -> dict[str, nn.Module]:
        """Modules by name, in the order in which they run."""

    def cost(self, x: Tally, task: Task) -> None: ...

    def __hash__(self) -> int: ...


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
            conv1 = nn.Conv2d(
                task.channels, 2 * self.width, size, stride, size // 2, bias=False
            )
        layers = {
            "conv1": conv1,
            "bn1": nn.BatchNorm2d(2 * self.width),
            "relu": nn.ReLU(inplace=True),
        }
        return (
            layers if task.small_images else layers | {"maxpool": nn.MaxPool2d(3, 2, 1)}
        )

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
        # 32 pixels are not to be halved twice before the first stage
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
        # resizing itself is counted by nobody (fvcore neither)
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
        # one number a channel, whatever the resolution, so the classifier fits any
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
            # after pooling, where a pixel is all there is: MobileNetV3's saving
            "embed": nn.Conv2d(self.width, self.features, 1, bias=False),
            "embed_act": activation("hswish"),
            # of a single pixel
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
