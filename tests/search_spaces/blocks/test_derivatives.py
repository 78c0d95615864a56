"""Derivatives of every kind: penalties, transforms, forward mode, Jacobians, gradients per image."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from search_spaces import SplitAttention


def theirs_and_ours(
    radix: int, cardinality: int = 2
) -> tuple[nn.Module, SplitAttention]:
    """The authors' module and ours with the same weights, in training and in float64."""
    splat = pytest.importorskip(
        "resnest.torch.splat", reason="the authors' package resnest 0.0.5"
    )
    torch.manual_seed(radix)
    theirs = splat.SplAtConv2d(
        8,
        8,
        3,
        1,
        1,
        groups=cardinality,
        bias=False,
        radix=radix,
        norm_layer=nn.BatchNorm2d,
    )
    ours = SplitAttention(8, 8, 3, 1, 1, cardinality=cardinality, radix=radix)
    ours.load_state_dict(theirs.state_dict())
    return theirs.double(), ours.double()


def penalty(module: nn.Module, x: Tensor) -> tuple[Tensor, ...]:
    """Gradients of input and weights of a gradient penalty, as WGAN-GP has (Gulrajani et al. 2017)."""
    x = x.clone().requires_grad_()
    out = module(x)
    (first,) = torch.autograd.grad(out.sin().sum(), x, create_graph=True)
    loss = (first.square().sum() - 1).square() + out.square().sum()
    return torch.autograd.grad(loss, (x, *module.parameters()))


def by_transform(module: nn.Module, x: Tensor) -> Tensor:
    def loss(x: Tensor) -> Tensor:
        statistics = {name: buffer.clone() for name, buffer in module.named_buffers()}
        out: Tensor = functional_call(
            module, dict(module.named_parameters()) | statistics, (x,)
        )
        return out.sin().sum()

    gradient: Tensor = torch.func.grad(loss)(x)
    return gradient


def by_forward_mode(module: nn.Module, x: Tensor) -> Tensor:
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, x.cos())
        tangent: Tensor = torch.autograd.forward_ad.unpack_dual(module(dual)).tangent
    return tangent


def by_vectorised_jacobian(module: nn.Module, x: Tensor) -> Tensor:
    jacobian: Tensor = torch.autograd.functional.jacobian(
        lambda x: module(x).sum((2, 3)), x, vectorize=True
    )
    return jacobian


def flat(derivatives: Tensor | tuple[Tensor, ...]) -> Tensor:
    if isinstance(derivatives, Tensor):
        return derivatives.flatten()
    return torch.cat([each.flatten() for each in derivatives])


# forward mode uses it itself
@pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")
@pytest.mark.parametrize("radix", [1, 2, 4])
@pytest.mark.parametrize(
    "derivative",
    [penalty, by_transform, by_forward_mode, by_vectorised_jacobian],
    ids=lambda derivative: derivative.__name__,
)
def test_every_derivative_of_the_training_step_is_the_authors(
    radix: int, derivative: Callable[[nn.Module, Tensor], Tensor | tuple[Tensor, ...]]
) -> None:
    theirs, ours = theirs_and_ours(radix)
    x = torch.randn(3, 8, 5, 5, dtype=torch.float64)
    found = flat(derivative(ours, x))
    expected = flat(derivative(theirs, x))
    # as sums of large terms, derivatives near 0 have no digits of their own to agree on
    scale = expected.abs().max().item()
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-13 * scale)


@pytest.mark.parametrize("radix", [1, 2, 4])
def test_gradients_per_image_are_those_of_one_image_at_a_time(radix: int) -> None:
    module = SplitAttention(8, 8, 3, padding=1, radix=radix, norm=False).double()
    parameters, x = (
        dict(module.named_parameters()),
        torch.randn(3, 8, 5, 5, dtype=torch.float64),
    )

    def loss(parameters: dict[str, Tensor], image: Tensor) -> Tensor:
        out: Tensor = functional_call(module, parameters, (image[None],))
        return out.sin().sum()

    found = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(parameters, x)
    for index, image in enumerate(x):
        expected = torch.autograd.grad(
            module(image[None]).sin().sum(), list(parameters.values())
        )
        torch.testing.assert_close(
            tuple(value[index] for value in found.values()), expected
        )
