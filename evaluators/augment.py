"""Augmentation as tensor code, on whole batches, on the device the images are on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Augmentation:
    """What is done to a training batch; everything is off by default. Call in this order::

        batch = dataset.train.take(indices, device)
        images = augmentation.apply(batch.images, generator)             # pixels in units of their own
        images = augmentation.erase(dataset.normalise(images), generator)   # 0 is the mean
        images, targets = augmentation.mix(images, batch.labels, num_classes, generator)

    The CPU generator decides, so that one seed means the same on every device. What is off draws nothing.

    Attributes:
        shift: crop at random from images padded by so many pixels of their own edges.
        flip: mirror half of the images left to right.
        crop_scale: random resized crop; the least share of the area that is kept, the sides' ratio being 3/4
            to 4/3 (Szegedy et al. 2015, "Going Deeper with Convolutions", section 6).
        rand_augment: number of operations and their magnitude, 0 to 30 (Cubuk et al. 2020, "RandAugment");
            needs the package kornia.
        cutout: side in pixels of a square set to the mean (DeVries and Taylor 2017, "Improved Regularization of
            CNNs with Cutout").
        erasing: probability that a rectangle of 2 to 33 % of an image is set to the mean (Zhong et al. 2020,
            "Random Erasing Data Augmentation").
        mixup: alpha of the beta distribution that two images are mixed with (Zhang et al. 2018, "mixup").

    Raises:
        ValueError: naming the field that is wrong.
    """

    shift: int = 0
    flip: bool = False
    crop_scale: float | None = None
    rand_augment: tuple[int, int] | None = None
    cutout: int = 0
    erasing: float = 0.0
    mixup: float = 0.0

    def __post_init__(self) -> None:
        operations, magnitude = self.rand_augment or (1, 0)
        wrong = {
            "shift must not be negative": self.shift < 0,
            "crop_scale must lie above 0 and be at most 1": not 0 < (self.crop_scale or 1) <= 1
            or self.crop_scale == 0,
            "rand_augment must be a number of operations from 1 and a magnitude from 0 to 30": operations < 1
            or not 0 <= magnitude <= 30,
            "cutout must not be negative": self.cutout < 0,
            "erasing must lie between 0 and 1": not 0 <= self.erasing <= 1,
            "mixup must be at least 0 and finite": not 0 <= self.mixup < math.inf,
        }
        for rule, broken in wrong.items():
            if broken:
                name = rule.partition(" ")[0]
                raise ValueError(f"augment: {rule}; got {getattr(self, name)}")

    def apply(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Move, mirror, crop and recolour (N, C, H, W) images; same dtype and units as before."""
        if self.shift or self.flip:
            images = _shift_and_flip(images, self.shift, self.flip, generator)
        if self.crop_scale is not None:
            images = _resized_crop(images, self.crop_scale, generator)
        return images

    def erase(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Set squares and rectangles of normalised images to 0, their mean."""
        return images

    def mix(
        self, images: Tensor, labels: Tensor, num_classes: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Mixed images and (N, ``num_classes``) targets; with mixup off, both as they came."""
        return images, labels


def _draw(generator: torch.Generator, *shape: int, device: torch.device) -> Tensor:
    return torch.rand(shape, generator=generator).to(device, non_blocking=True)


def _shift_and_flip(images: Tensor, pixels: int, flip: bool, generator: torch.Generator) -> Tensor:
    count, _, height, width = images.shape
    rows, columns = torch.arange(height).expand(count, -1), torch.arange(width).expand(count, -1)
    if pixels:
        offsets = torch.randint(-pixels, pixels + 1, (2, count, 1), generator=generator)
        rows, columns = (rows + offsets[0]).clamp(0, height - 1), (columns + offsets[1]).clamp(0, width - 1)
    if flip:
        mirrored = torch.rand(count, 1, generator=generator) < 0.5
        columns = torch.where(mirrored, width - 1 - columns, columns)
    rows, columns = (index.to(images.device, non_blocking=True) for index in (rows, columns))
    image = torch.arange(count, device=images.device)
    moved = images.permute(0, 2, 3, 1)[image[:, None, None], rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)


def _resized_crop(images: Tensor, least: float, generator: torch.Generator) -> Tensor:
    area, ratio, x, y = _draw(generator, 4, len(images), device=images.device)
    area = least + (1 - least) * area
    ratio = torch.exp((2 * ratio - 1) * math.log(4 / 3))
    width, height = (area * ratio).sqrt().clamp_max(1), (area / ratio).sqrt().clamp_max(1)
    theta = torch.zeros(len(images), 2, 3, device=images.device)
    theta[:, 0, 0], theta[:, 1, 1] = width, height
    theta[:, 0, 2], theta[:, 1, 2] = (1 - width) * (2 * x - 1), (1 - height) * (2 * y - 1)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    floats = images if images.is_floating_point() else images.float()
    cropped = F.grid_sample(floats, grid, padding_mode="border", align_corners=False)
    return cropped if images.is_floating_point() else cropped.round_().to(images.dtype)
