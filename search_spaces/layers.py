"""The ends of a network: what the data asks of it, stems and the classifier head."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from .cost import Tally


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


IMAGENET = Task()


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
            x.conv2d(self.width, 3, 1, 1)
            x.norm()
            x.conv2d(2 * self.width, 3, 1, 1)
        else:
            size = 3 if task.small_images else 7
            x.conv2d(2 * self.width, size, stride, size // 2)
        x.norm()
        if not task.small_images:
            x.max_pool(3, 2, 1)


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
