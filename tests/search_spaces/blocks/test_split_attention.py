"""The module against the authors', finite differences and plain operators."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from search_spaces import SplitAttention
from search_spaces.blocks import split_attention_function
from tests.search_spaces.blocks.attention_cases import FORMATS, SHAPES, gradients


@pytest.mark.parametrize(("radix", "cardinality"), SHAPES)
@pytest.mark.parametrize("memory_format", FORMATS, ids=str)
@pytest.mark.parametrize("norm", [False, True])
def test_gradients_are_those_of_finite_differences(
    radix: int, cardinality: int, memory_format: torch.memory_format, norm: bool
) -> None:
    torch.manual_seed(0)
    width = 4 * radix
    module = SplitAttention(
        width, 4, 3, padding=1, cardinality=cardinality, radix=radix, norm=norm
    ).double()
    x = torch.randn(3, width, 3, 3, dtype=torch.float64).contiguous(
        memory_format=memory_format
    )
    names = ["conv.weight", "fc1.weight", "fc2.weight", "fc2.bias"]
    tensors = [x, *(module.get_parameter(name).detach() for name in names)]

    def run(x: Tensor, *parameters: Tensor) -> Tensor:
        out: Tensor = functional_call(
            module, dict(zip(names, parameters, strict=True)), (x,)
        )
        return out

    assert torch.autograd.gradcheck(
        run, [t.clone().requires_grad_() for t in tensors], fast_mode=True
    )


@pytest.mark.parametrize(("radix", "cardinality"), SHAPES)
@pytest.mark.parametrize("memory_format", FORMATS, ids=str)
@pytest.mark.parametrize("cache_bytes", [1, 2**14, 2**30])
def test_training_equals_the_plain_operators(
    radix: int,
    cardinality: int,
    memory_format: torch.memory_format,
    cache_bytes: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without norms the two modes compute the same; the backward pass takes 1, some, all images at a time."""
    monkeypatch.setattr(split_attention_function, "CACHE_BYTES", cache_bytes)
    module = SplitAttention(
        16, 8, 3, 2, 1, cardinality=cardinality, radix=radix, norm=False
    ).double()
    x = torch.randn(5, 16, 13, 9, dtype=torch.float64).contiguous(
        memory_format=memory_format
    )
    by_hand, plain = gradients(module.train(), x), gradients(module.eval(), x)
    torch.testing.assert_close(by_hand, plain, rtol=1e-12, atol=1e-12)
    assert by_hand[0].is_contiguous(memory_format=memory_format)
    assert plain[0].is_contiguous(memory_format=memory_format)


@pytest.mark.parametrize(("radix", "cardinality"), SHAPES)
@pytest.mark.parametrize("training", [True, False])
def test_in_float64_it_is_the_authors_module(
    radix: int, cardinality: int, training: bool
) -> None:
    splat = pytest.importorskip(
        "resnest.torch.splat", reason="the authors' package resnest 0.0.5"
    )
    theirs = splat.SplAtConv2d(
        16,
        16,
        3,
        1,
        1,
        groups=cardinality,
        bias=False,
        radix=radix,
        norm_layer=nn.BatchNorm2d,
    )
    ours = SplitAttention(16, 16, 3, 1, 1, cardinality=cardinality, radix=radix)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(5, 16, 9, 9, dtype=torch.float64)
    expected, got = (
        gradients(module.double().train(training), x) for module in (theirs, ours)
    )
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(
        ours.state_dict(), theirs.state_dict(), rtol=1e-12, atol=1e-12
    )


def test_it_keeps_no_weighted_copies_for_the_backward_pass() -> None:
    module, x = (
        SplitAttention(16, 16, 3, padding=1, radix=4),
        torch.randn(2, 16, 32, 32, requires_grad=True),
    )
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = module(x)
    maps = sorted(size for size in kept.values() if size >= x.numel())
    assert maps == [x.numel(), 4 * out.numel(), 4 * out.numel()], (
        "input, convolved, rectified"
    )


def test_maps_that_a_hook_takes_out_have_the_whole_gradient() -> None:
    """As for Grad-CAM: through the weighting and through the gate; equal to plain operators in eval mode."""
    module = SplitAttention(8, 8, 3, padding=1, norm=False).double()
    x = torch.randn(2, 8, 5, 5, dtype=torch.float64)
    taken: list[Tensor] = []
    module.bn0.register_forward_hook(lambda module, args, output: taken.append(output))
    gradients = []
    for training in (True, False):
        loss = module.train(training)(x).square().sum()
        gradients.append(torch.autograd.grad(loss, taken[-1])[0])
    torch.testing.assert_close(*gradients)


def test_backward_leaves_the_gradient_it_is_given_alone() -> None:
    module = SplitAttention(8, 8, 3, padding=1)
    y = module(torch.randn(2, 8, 5, 5))
    given = torch.randn_like(y)
    before = given.clone()
    y.backward(given)
    assert torch.equal(given, before)


class LayerNorm2d(nn.LayerNorm):
    """Over the channels; the output is a view."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class Saturating(nn.Module):
    """Its gradient needs its output, which must not be overwritten."""

    def forward(self, x: Tensor) -> Tensor:
        return x.tanh()


@pytest.mark.parametrize(
    "norm",
    [nn.InstanceNorm2d(16), nn.GroupNorm(4, 16), LayerNorm2d(16), Saturating()],
    ids=str,
)
def test_any_norm_may_take_the_place_of_the_first(norm: nn.Module) -> None:
    """Equal to the same in plain torch, written out for radix 2 and cardinality 1."""
    module = SplitAttention(8, 8, 3, padding=1, radix=2)
    module.bn0 = norm
    module.double()
    x = torch.randn(3, 8, 5, 5, dtype=torch.float64, requires_grad=True)
    maps = norm(module.conv(x)).relu().unflatten(1, (2, 8))
    hidden = module.bn1(module.fc1(maps.sum(1).mean((2, 3), keepdim=True))).relu()
    weights = module.fc2(hidden).unflatten(1, (2, 8)).softmax(1)
    expected = (maps * weights).sum(1)
    found = module(x)
    torch.testing.assert_close(found, expected)
    wanted = (x, *module.parameters())
    torch.testing.assert_close(
        torch.autograd.grad(found.sin().sum(), wanted),
        torch.autograd.grad(expected.sin().sum(), wanted),
    )


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("radix", "cardinality"), SHAPES)
def test_no_images_give_no_maps(radix: int, cardinality: int, training: bool) -> None:
    module = SplitAttention(
        16, 16, 3, 2, 1, cardinality=cardinality, radix=radix
    ).train(training)
    x = torch.randn(0, 16, 6, 6, requires_grad=True)
    out = module(x)
    assert out.shape == (0, 16, 3, 3)
    out.sum().backward()
    assert module.conv.weight.grad is not None
    assert not module.conv.weight.grad.any()
