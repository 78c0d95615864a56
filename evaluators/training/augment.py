"""Augmentation as tensor code, on whole batches, on the device the images are on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from evaluators.devices.device import sent
from evaluators.fields import Bounds, check, require


@dataclass(frozen=True, kw_only=True)
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
        rand_augment: number of operations and their magnitude, 1 to 29 (Cubuk et al. 2020, "RandAugment");
            needs the package kornia, which draws the operations once a batch; for grey values 0 to 255.
        cutout: side in pixels of a square set to the mean (DeVries and Taylor 2017, "Improved Regularization of
            CNNs with Cutout").
        erasing: probability that a rectangle of 2 to 33 % of an image is set to the mean (Zhong et al. 2020,
            "Random Erasing Data Augmentation").
        mixup: alpha of the beta distribution that two images are mixed with (Zhang et al. 2018, "mixup").

    Raises:
        ValueError: naming the field that is wrong.
    """

    shift: Annotated[int, Bounds(ge=0, unit="pixels")] = 0
    flip: bool = False
    crop_scale: Annotated[float | None, Bounds(gt=0, le=1)] = None
    rand_augment: tuple[int, int] | None = None
    cutout: Annotated[int, Bounds(ge=0, unit="pixels")] = 0
    erasing: Annotated[float, Bounds(ge=0, le=1)] = 0.0
    mixup: Annotated[float, Bounds(ge=0)] = 0.0

    def __post_init__(self) -> None:
        check(self)
        # a stand-in that passes, for what is off
        operations, magnitude = self.rand_augment or (1, 1)
        sound = 1 <= operations <= 10 and 1 <= magnitude <= 29
        require(
            self,
            "rand_augment",
            sound,
            "1 to 10 operations and a magnitude from 1 to 29",
        )

    def apply(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Move, mirror, crop and recolour (N, C, H, W) images; same dtype and units as before."""
        if self.shift or self.flip:
            images = _shift_and_flip(images, self.shift, self.flip, generator)
        if self.crop_scale is not None:
            images = _resized_crop(images, self.crop_scale, generator)
        if self.rand_augment is not None:
            images = _rand_augment(images, *self.rand_augment, generator)
        return images

    def erase(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Set squares and rectangles of normalised images to 0, which is their mean."""
        if self.cutout:
            images = _cutout(images, self.cutout, generator)
        if self.erasing:
            images = _erase(images, self.erasing, generator)
        return images

    def mix(
        self,
        images: Tensor,
        labels: Tensor,
        num_classes: int,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """Mixed images and (N, ``num_classes``) targets; with mixup off, both as they came.

        Each image is mixed with the one before it, which the order of the batch makes a random one, and all in
        the same proportion, as by the authors.
        """
        if not self.mixup:
            return images, labels
        share = _beta(self.mixup, generator)
        # F.one_hot would look at the labels first, and so wait for the device
        classes = torch.arange(num_classes, device=labels.device)
        targets = (labels[:, None] == classes).to(images.dtype)
        return images.lerp(images.roll(1, 0), share), targets.lerp(
            targets.roll(1, 0), share
        )


def _draw(generator: torch.Generator, *shape: int, device: torch.device) -> Tensor:
    return sent(torch.rand(shape, generator=generator), device)


def _shift_and_flip(
    images: Tensor, pixels: int, flip: bool, generator: torch.Generator
) -> Tensor:
    rows, columns = _shown(images.shape, pixels, flip, generator)
    return _gathered(images, rows, columns)


def _shown(
    shape: torch.Size, pixels: int, flip: bool, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Which row (N, H) and column (N, W) of the source each of the result shows."""
    count, _, height, width = shape
    rows = torch.arange(height).expand(count, -1)
    columns = torch.arange(width).expand(count, -1)
    if pixels:
        offsets = torch.randint(-pixels, pixels + 1, (2, count, 1), generator=generator)
        rows = (rows + offsets[0]).clamp(0, height - 1)
        columns = (columns + offsets[1]).clamp(0, width - 1)
    if flip:
        mirrored = torch.rand(count, 1, generator=generator) < 0.5
        # (N, 1) against (N, width): half of the images, whole rows
        columns = torch.where(mirrored, width - 1 - columns, columns)
    return rows, columns


def _gathered(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Image n's pixel (rows[n, y], columns[n, x]) at (y, x)."""
    count, channels, height, width = images.shape
    # rows and columns are few; only their sum, an index for every pixel, is the device's work
    of_image = height * torch.arange(count)[:, None]
    starts = width * (of_image + rows)
    both = sent(torch.cat([starts, columns], 1), images.device)
    starts, columns = both.split([height, width], dim=1)
    pixel = starts[:, :, None] + columns[:, None, :]
    # a gather of whole pixels: a quarter of the time that indexing each dimension takes on the CPU
    pixels_last = images.permute(0, 2, 3, 1)
    flat = pixels_last.reshape(-1, channels)
    moved = flat.index_select(0, pixel.flatten())
    pixels = moved.view(count, height, width, channels)
    return pixels.permute(0, 3, 1, 2)


def _resized_crop(images: Tensor, least: float, generator: torch.Generator) -> Tensor:
    area, ratio, x, y = _draw(generator, 4, len(images), device=images.device)
    # of the image, uniform
    area = least + (1 - least) * area
    # log-uniform, so that 3/4 and 4/3 are equally likely
    ratio = torch.exp((2 * ratio - 1) * math.log(4 / 3))
    width = (area * ratio).sqrt().clamp_max(1)
    height = (area / ratio).sqrt().clamp_max(1)
    # affine maps in grid_sample's coordinates, where an image goes from -1 to 1
    theta = torch.zeros(len(images), 2, 3, device=images.device)
    theta[:, 0, 0] = width
    theta[:, 1, 1] = height
    theta[:, 0, 2] = (1 - width) * (2 * x - 1)
    theta[:, 1, 2] = (1 - height) * (2 * y - 1)
    # one resampling does crop and resize
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    floats = images if images.is_floating_point() else images.float()
    cropped = F.grid_sample(floats, grid, padding_mode="border", align_corners=False)
    return cropped if images.is_floating_point() else cropped.round_().to(images.dtype)


def _rand_augment(
    images: Tensor, operations: int, magnitude: int, generator: torch.Generator
) -> Tensor:
    """kornia's, which draws the operations once a batch and their signs once an image."""
    try:
        from kornia.augmentation.auto import RandAugment
    except ImportError as error:
        needed = "augment: rand_augment needs the package kornia: pip install 'splitsearch[augment]'"
        raise ValueError(needed) from error
    seed = int(torch.randint(2**31, (), generator=generator))
    # kornia wants RGB from 0 to 1; a gray image is three equal channels
    coloured = images.expand(-1, 3, -1, -1).float() / 255
    # kornia draws from torch's global generator and takes no other
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        recoloured = RandAugment(operations, magnitude)(coloured)
    channels = images.shape[1]
    changed: Tensor = recoloured[:, :channels].clamp(0, 1) * 255
    return changed if images.is_floating_point() else changed.round_().to(images.dtype)


def _cutout(images: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """The square's centre lies in the image, its border may not."""
    count, _, height, width = images.shape
    y, x = _draw(generator, 2, count, 1, device=images.device)
    half = side // 2
    top = (y * height).floor() - half
    left = (x * width).floor() - half
    return _blank(images, top, left, top + side, left + side)


def _erase(images: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    count, _, height, width = images.shape
    chosen, area, ratio, y, x = _draw(generator, 5, count, 1, device=images.device)
    area = 0.02 + (1 / 3 - 0.02) * area
    # sides' ratio from 0.3 to 1/0.3, as in the paper's experiments
    ratio = torch.exp((2 * ratio - 1) * math.log(1 / 0.3))
    share_of_height = (area * ratio).sqrt().clamp_max(1)
    share_of_width = (area / ratio).sqrt().clamp_max(1)
    rows = (share_of_height * height).round()
    columns = (share_of_width * width).round()
    # a rectangle without rows blanks nothing: no branch, so the device is not waited for
    rows = torch.where(chosen < probability, rows, 0)
    # anywhere that it fits, down to the last row and column
    top = (y * (height - rows + 1)).floor()
    left = (x * (width - columns + 1)).floor()
    return _blank(images, top, left, top + rows, left + columns)


def _blank(
    images: Tensor, top: Tensor, left: Tensor, bottom: Tensor, right: Tensor
) -> Tensor:
    """0 in the rectangle of each image; its sides are (N, 1)."""
    y = torch.arange(images.shape[2], device=images.device)
    x = torch.arange(images.shape[3], device=images.device)
    rows = (y >= top) & (y < bottom)
    columns = (x >= left) & (x < right)
    inside = rows[:, :, None] & columns[:, None, :]
    return images.masked_fill(inside[:, None], 0.0)


def _beta(alpha: float, generator: torch.Generator) -> float:
    """A draw of the beta distribution with both parameters ``alpha``."""
    seed = int(torch.randint(2**31, (), generator=generator))
    return float(np.random.default_rng(seed).beta(alpha, alpha))
