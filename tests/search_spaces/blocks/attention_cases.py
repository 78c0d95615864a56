"""Layouts and shapes that the tests of split attention go through."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor, nn

FORMATS = [torch.contiguous_format, torch.channels_last]


SHAPES = list(product([1, 2, 4], [1, 2, 4]))
"""radix, cardinality"""


def gradients(module: nn.Module, x: Tensor) -> tuple[Tensor, ...]:
    """Output and, of a loss that tells its elements apart, the gradients of input and parameters."""
    x = x.clone().requires_grad_()
    out = module(x)
    loss = (
        out * torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view(out.shape)
    ).sum()
    return out.detach(), *torch.autograd.grad(loss, (x, *module.parameters()))
