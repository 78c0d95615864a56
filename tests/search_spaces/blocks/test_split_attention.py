"""The two ways through Split-Attention, by hand while training and in plain operators, are one function."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from copy import deepcopy
from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.ao.quantization import (
    disable_fake_quant,
    enable_fake_quant,
    get_default_qat_qconfig_mapping,
)
from torch.ao.quantization.quantize_fx import convert_fx, prepare_qat_fx
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

from search_spaces import SplitAttention, Tally
from search_spaces.blocks import split_attention_function

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


@pytest.mark.parametrize("radix", [1, 2, 4])
@pytest.mark.parametrize("training", [True, False])
def test_autocast_keeps_the_maps_small(radix: int, training: bool) -> None:
    module = SplitAttention(16, 16, 3, padding=1, radix=radix).train(training)
    x = torch.randn(4, 16, 8, 8)
    expected = gradients(deepcopy(module), x)
    with torch.autocast("cpu", torch.bfloat16):
        out = module(x)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), expected[0], rtol=0.05, atol=0.05)
    out.float().square().sum().backward()
    assert all(
        p.grad is not None and p.grad.isfinite().all() for p in module.parameters()
    )


@pytest.mark.parametrize("radix", [1, 2, 4])
def test_it_compiles_in_one_graph(radix: int) -> None:
    torch.compiler.reset()
    module = SplitAttention(16, 16, 3, padding=1, radix=radix, norm=False)
    x = torch.randn(4, 16, 8, 8)
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(gradients(compiled, x), gradients(module, x))


@pytest.mark.parametrize("radix", [1, 2, 4])
def test_it_exports_for_any_batch_size(radix: int) -> None:
    module = SplitAttention(16, 16, 3, padding=1, radix=radix).eval()
    batch = torch.export.Dim("batch", min=1, max=64)
    exported = torch.export.export(
        module, (torch.randn(4, 16, 8, 8),), dynamic_shapes=({0: batch},)
    )
    called = [
        str(node.target) for node in exported.graph.nodes if node.op == "call_function"
    ]
    assert all(
        target.startswith("aten.") or target.startswith("<built-in")
        for target in called
    )
    x = torch.randn(7, 16, 8, 8)
    torch.testing.assert_close(exported.module()(x), module(x))


def test_checkpointing_and_a_second_pass_over_the_same_graph_give_the_same_gradients() -> (
    None
):
    module, x = (
        SplitAttention(16, 16, 3, padding=1),
        torch.randn(4, 16, 8, 8, requires_grad=True),
    )
    (expected,) = torch.autograd.grad(module(x).square().sum(), x)
    loss = module(x).square().sum()
    for _ in range(2):
        torch.testing.assert_close(
            torch.autograd.grad(loss, x, retain_graph=True), (expected,)
        )
    loss = checkpoint(module, x, use_reentrant=False).square().sum()
    torch.testing.assert_close(torch.autograd.grad(loss, x), (expected,))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("radix", "cardinality"), SHAPES)
def test_counters_see_every_operator_in_both_modes(
    radix: int, cardinality: int, training: bool
) -> None:
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        from fvcore.nn import FlopCountAnalysis
    module = SplitAttention(
        16, 8, 3, padding=1, cardinality=cardinality, radix=radix
    ).train(training)
    count = FlopCountAnalysis(
        module, torch.randn(2, 16, 6, 6)
    ).unsupported_ops_warnings(False)
    tally = Tally(16, 6, 6)
    SplitAttention.cost(tally, 8, 3, padding=1, cardinality=cardinality, radix=radix)
    cost = tally.total()
    counted = count.by_operator()
    assert counted["conv"] == 2 * cost.conv
    assert counted["adaptive_avg_pool2d"] == 2 * cost.adaptive_avg_pool2d
    if not training:
        assert count.total() == 2 * cost.flops


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


def theirs_and_ours(
    radix: int, cardinality: int = 2
) -> tuple[nn.Module, SplitAttention]:
    """The authors' module and ours with the same weights, in training and in float64."""
    splat = pytest.importorskip(
        "resnest.torch.splat", reason="the authors' package resnest 0.0.5"
    )
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
    torch.testing.assert_close(
        derivative(ours, x), derivative(theirs, x), rtol=1e-8, atol=1e-8
    )


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


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("radix", [1, 2, 4])
def test_fx_traces_it_while_training(radix: int, depthwise: bool) -> None:
    module = SplitAttention(
        8, 8, 3, padding=1, radix=radix, groups=8 if depthwise else None
    ).double()
    traced = torch.fx.symbolic_trace(module)
    x = torch.randn(3, 8, 5, 5, dtype=torch.float64)
    torch.testing.assert_close(gradients(traced, x), gradients(module, x))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("radix", [1, 2, 4])
def test_it_trains_to_be_quantised(radix: int, depthwise: bool) -> None:
    """torch's FX mode: what is prepared computes the same until it rounds, and then nearly."""
    module = SplitAttention(
        8, 8, 3, padding=1, radix=radix, groups=8 if depthwise else None
    )
    x = torch.randn(6, 8, 7, 7, generator=torch.Generator().manual_seed(radix))
    prepared = prepare_qat_fx(
        deepcopy(module), get_default_qat_qconfig_mapping("x86"), (x,)
    )
    prepared.apply(disable_fake_quant)
    torch.testing.assert_close(gradients(prepared, x)[:2], gradients(module, x)[:2])
    prepared.apply(enable_fake_quant)
    out = prepared(x)
    assert (out - module(x)).norm() < 0.15 * out.norm()
    out = prepared.eval()(x)
    assert (convert_fx(prepared)(x) - out).norm() < 0.15 * out.norm()


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
