"""What the data asks of a network."""

from __future__ import annotations

from dataclasses import dataclass


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
            raise ValueError(
                f"Task.small_images must be true or false, got {self.small_images!r}"
            )


IMAGENET = Task()
