"""Muon: convolutions step along the nearest orthogonal matrix to their momentum.

Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks". torch's own takes only matrices, one
at a time, and reads the learning rate on the host, which a recorded CUDA graph cannot; tests hold this one to it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from evaluators.training.optimizers.sgd import SGD

SHARE = 0.25
"""Of the learning rate, for orthogonal steps: a peak of 0.05 at Recipe's defaults with batches of 128 images."""
COEFFICIENTS = 3.4445, -4.7750, 2.0315
NEWTON_SCHULZ_STEPS = 5
SMALLEST = 1e-7
"""Norm that a matrix is taken to have at least, so that zeros stay zeros."""


class Muon(SGD):
    """SGD on ``groups``, and on ``convolutions`` SGD along their Nesterov momentum made orthogonal.

    Grouped convolutions are so many matrices (out, in * height * width), each made orthogonal by itself.
    """

    def __init__(
        self,
        convolutions: Iterable[nn.Conv2d],
        groups: Iterable[dict[str, object]],
        *,
        lr: float | Tensor,
        momentum: float,
        weight_decay: float,
    ) -> None:
        super().__init__(groups, lr=lr, momentum=momentum, nesterov=True, fused=True)
        self._momentum = momentum
        self._alike: dict[tuple[int, ...], list[Tensor]] = defaultdict(list)
        for convolution in convolutions:
            weight = convolution.weight
            # equal shapes are stacked: one batched product in place of many small ones
            self._alike[(convolution.groups, *weight.shape)].append(weight)
        orthogonal: dict[str, Any] = {
            "params": [weight for alike in self._alike.values() for weight in alike],
            "momentum": 0.0,  # the gradient holds it already
            "nesterov": False,
            "weight_decay": weight_decay,
        }
        self.add_param_group(orthogonal)
        # a fused step divides by the loss's scale only after the momentum has been taken
        self._step_supports_amp_scaling = False

    # torch declares two overloads of it; one function with an optional closure serves both
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        for (groups, rows, *_), weights in self._alike.items():
            momenta = torch.stack([self._nesterov(weight) for weight in weights])
            # (weights * groups, out of a group, in * height * width)
            count = len(weights) * groups
            matrices = momenta.view(count, rows // groups, -1)
            steps = orthogonalised(matrices).reshape_as(momenta)
            for weight, step in zip(weights, steps.unbind(), strict=True):
                # a fused step reads weight and gradient as they lie in memory
                weight.grad = torch.empty_like(weight).copy_(step)
        loss: float | None = super().step(closure)
        return loss

    def _nesterov(self, weight: Tensor) -> Tensor:
        gradient = torch.zeros_like(weight) if weight.grad is None else weight.grad
        average: Tensor = self.state[weight]["momentum_buffer"]
        # as torch's Muon: a mean of gradients, not their decayed sum
        average.lerp_(gradient, 1 - self._momentum)
        return gradient.lerp(average, self._momentum).contiguous()


def orthogonalised(matrices: Tensor) -> Tensor:
    """(B, rows, columns) float32 with singular values of about 1 (0.7 to 1.2), times ``SHARE``.

    Five Newton-Schulz iterations. What is taller than wide is larger by the root of that ratio.
    """
    rows, columns = matrices.shape[1:]
    # the Gram matrix of the short side is the small one
    x = matrices.mT if rows > columns else matrices
    # Frobenius norm: no singular value is above 1, where the iteration converges
    norm = x.norm(dim=(1, 2), keepdim=True)
    x = x / norm.clamp_min(SMALLEST)
    a, b, c = COEFFICIENTS
    for _ in range(NEWTON_SCHULZ_STEPS):
        # x <- a x + b (x x') x + c (x x')^2 x: an odd polynomial acts only on the singular values
        gram = x @ x.mT
        polynomial = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.baddbmm(x, polynomial, x, beta=a)
    # a tall matrix of orthogonal columns has small rows; this evens that out
    scale = SHARE * max(1.0, rows / columns) ** 0.5
    steps: Tensor = scale * (x.mT if rows > columns else x)
    return steps
