"""Batch norms whose statistics are those of all processes together."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def synchronise(model: nn.Module, device: torch.device) -> nn.Module:
    """``model`` with its batch norms synchronised in training; weights and their names stay.

    torch's own synchronise only on GPUs, so on the CPU these stand in.
    """
    if device.type == "cuda":
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        return converted
    for module in model.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = (
                SyncedNorm  # the same object, so parameters and hooks stay
            )
    return model


class SyncedNorm(nn.BatchNorm2d):
    """Equal numbers of (B, C, H, W) images in every process; without gradients, every process for itself."""

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and torch.is_grad_enabled()):
            return super().forward(x)
        # parts are equally long (Shard.of), so counts need no exchange
        here = x.numel() // x.shape[1]
        count = here * torch.distributed.get_world_size()
        values = x.float()
        mean = _total(values.sum((0, 2, 3))) / count
        # two passes: E[x^2] - E[x]^2 would lose digits where the mean is large
        centred = values - mean.view(1, -1, 1, 1)
        squares = centred.square().sum((0, 2, 3))
        variance = _total(squares) / count
        # running statistics are of the unbiased variance, as in torch
        self._follow(mean.detach(), variance.detach() * count / (count - 1))
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)).to(
            x.dtype
        )

    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        if (
            self.running_mean is None
            or self.running_var is None
            or self.num_batches_tracked is None
        ):
            return  # a norm that keeps no statistics
        self.num_batches_tracked += 1
        momentum = 0.1 if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance, momentum)


def _total(values: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(values)  # type: ignore[no-untyped-call]  # torch gives it no types
    return total


class _Sum(torch.autograd.Function):
    """The sum over the processes; each one's gradient reaches all."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        # d(sum)/d(each) = 1, so a process's gradient is the sum of everyone's
        total = gradient.clone()
        torch.distributed.all_reduce(total)
        return total
