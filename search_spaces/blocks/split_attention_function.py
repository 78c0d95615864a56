"""The memory-bound half of Split-Attention: pooling and weighting the splits, with gradients by hand.

Elements read and written beyond those of convolution, norm and ReLU, in maps of B x channels x H x W:

=======================  ===============  ==============  ======
radix R                  authors' module  here            floor
=======================  ===============  ==============  ======
pool                     3R               R               R
weigh                    5R - 1           3R - 1 (a)      R + 1
gradient of the weights  4R               R + 1 (b)       R + 1
gradient of the splits   7R + 1           R + 1 (b)       1 - R
radix 2, together        38               11              7
=======================  ===============  ==============  ======

(a) R + 1 up to radix 2, where the two weights sum to one. (b) On CPU, where the backward pass takes as many
images at a time as stay in the cache; elsewhere 3R + 1. The floor would take ReLU's gradient along.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

CACHE_BYTES = 2**21
"""About the second-level cache of one core."""


def weighted_sum(maps: Tensor, weights: Tensor, radix: int) -> Tensor:
    """Sum of the splits under weights: (B, radix * C, H, W) and (B, radix * C, 1, 1) -> (B, C, H, W).

    The two weights of radix 2 must sum to one: only the second is read.
    """
    splits = by_split(maps, radix)
    shares = by_split(weights, radix)
    if radix == 2:
        # a softmax over two sums to one, so the sum is an interpolation: one pass over the maps
        return torch.lerp(splits[:, 0], splits[:, 1], shares[:, 1])
    out = splits[:, 0] * shares[:, 0]
    for index in range(1, radix):
        out = torch.addcmul(out, splits[:, index], shares[:, index])
    return out


def by_split(maps: Tensor, radix: int) -> Tensor:
    """(B, radix * C, H, W) as (B, radix, C, H, W)."""
    return torch.unflatten(maps, 1, (radix, -1))


def relu_pool(x: Tensor, radix: int) -> tuple[Tensor, Tensor]:
    """ReLU in place, and the mean over the pixels of the sum of the splits.

    (B, radix * C, H, W) -> the same and (B, C, 1, 1). The maps are for :func:`weigh` alone: their gradient is
    worked on in place, and leaves out the way through the mean.
    """
    # torch gives it no types, here and below
    return _ReLUPool.apply(x, radix)  # type: ignore[no-any-return,no-untyped-call]


def weigh(maps: Tensor, weights: Tensor, radix: int) -> Tensor:
    """:func:`weighted_sum`, whose gradient keeps no weighted copies of the splits in memory."""
    return _Weigh.apply(maps, weights, radix)  # type: ignore[no-any-return,no-untyped-call]


class _ReLUPool(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, radix: int) -> tuple[Tensor, Tensor]:
        # in place: the convolution's output is needed by nobody else
        maps = x.relu_()
        ctx.mark_dirty(x)
        # ReLU's gradient needs its output only
        ctx.save_for_backward(maps)
        ctx.radix = radix
        means = maps.mean((2, 3), keepdim=True)
        return maps, by_split(means, radix).sum(1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor, grad_pooled: Tensor) -> tuple[Tensor, None]:
        (maps,) = ctx.saved_tensors
        pixels = maps.shape[2] * maps.shape[3]
        # d(mean)/dx = 1 / pixels, the same for every split that was summed
        of_pixel = grad_pooled.to(grad.dtype) / pixels
        share = of_pixel.repeat(1, ctx.radix, 1, 1)
        if _is_transformed(grad):
            return (grad + share) * (maps > 0), None
        for g, s, y in _by_images(maps, grad, share, maps):
            torch.ops.aten.threshold_backward.grad_input(g.add_(s), y, 0, grad_input=g)
        return grad, None


class _Weigh(Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor, weights: Tensor, radix: int) -> Tensor:
        ctx.save_for_backward(maps, weights)
        ctx.radix = radix
        return weighted_sum(maps, weights, radix)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        maps, weights = ctx.saved_tensors
        grad = grad.unsqueeze(1)
        if _is_transformed(grad):
            grad_weights = (by_split(maps, ctx.radix) * grad).sum((3, 4))
            grad_maps = by_split(weights, ctx.radix) * grad
            return grad_maps.reshape(maps.shape), grad_weights.view_as(weights), None
        # d/dw of sum_k w_k * y_k: the maps times the gradient, summed over the pixels
        parts = _by_images(maps, maps, grad)
        products = (by_split(y, ctx.radix) * g for y, g in parts)
        sums = [product.sum((3, 4)) for product in products]
        grad_weights = torch.cat(sums)
        # written once, no zeros first
        grad_maps = torch.empty_like(maps)
        torch.mul(
            by_split(weights, ctx.radix), grad, out=by_split(grad_maps, ctx.radix)
        )
        return grad_maps, grad_weights.view_as(weights), None


def _is_transformed(grad: Tensor) -> bool:
    """Whether the backward pass is itself to be differentiated or batched, so by plain operators."""
    if torch.is_grad_enabled() or torch._C._are_functorch_transforms_active():
        return True
    return torch._C._functorch.is_legacy_batchedtensor(grad)


def _by_images(maps: Tensor, *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The tensors, as many images at a time as have maps that fit into the cache of a CPU's core."""
    # of one image
    elements = maps.shape[1:].numel()
    image = max(1, elements * maps.element_size())
    # a GPU is best fed with everything at once
    count = max(1, CACHE_BYTES // image) if maps.device.type == "cpu" else len(maps)
    parts = (torch.split(tensor, count) for tensor in tensors)
    return zip(*parts, strict=True)
