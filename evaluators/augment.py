"""Augmentation as tensor code, on whole batches, on the device the images are on."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def random_shift(images: Tensor, pixels: int, generator: torch.Generator) -> Tensor:
    """Move each of the (N, C, H, W) images by up to ``pixels`` each way and repeat its edge pixels.

    The CPU generator decides, so that the same seed means the same shifts on every device.
    """
    if not pixels:
        return images
    count, _, height, width = images.shape
    offsets = torch.randint(2 * pixels + 1, (2, count, 1), generator=generator)
    rows = (offsets[0] + torch.arange(height)).to(images.device)
    columns = (offsets[1] + torch.arange(width)).to(images.device)
    padded = F.pad(images, (pixels,) * 4, mode="replicate")
    index = torch.arange(count, device=images.device)
    moved = padded.permute(0, 2, 3, 1)[index[:, None, None], rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)


def random_flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror half of the (N, C, H, W) images left to right, drawn one by one."""
    chosen = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
    return torch.where(chosen.to(images.device), images.flip(3), images)
