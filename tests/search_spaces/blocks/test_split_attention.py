"""The two ways through Split-Attention, by hand while training and in plain operators, are one function."""

from __future__ import annotations

import warnings
from copy import deepcopy
from itertools import product

import pytest
import torch
from torch import Tensor, nn
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
    loss = (out * torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view(out.shape)).sum()
    return out.detach(), *torch.autograd.grad(loss, (x, *module.parameters()))


@pytest.mark.parametrize(("radix", "cardinality"), SHAPES)
@pytest.mark.parametrize("memory_format", FORMATS, ids=str)
@pytest.mark.parametrize("norm", [False, True])
def test_gradients_are_those_of_finite_differences(
    radix: int, cardinality: int, memory_format: torch.memory_format, norm: bool
) -> None:
    torch.manual_seed(0)
    width = 4 * radix
    module = SplitAttention(width, 4, 3, padding=1, cardinality=cardinality, radix=radix, norm=norm).double()
    x = torch.randn(3, width, 3, 3, dtype=torch.float64).contiguous(memory_format=memory_format)
    names = ["conv.weight", "fc1.weight", "fc2.weight", "fc2.bias"]
    tensors = [x, *(module.get_parameter(name).detach() for name in names)]

    def run(x: Tensor, *parameters: Tensor) -> Tensor:
        out: Tensor = functional_call(module, dict(zip(names, parameters, strict=True)), (x,))
        return out

    assert torch.autograd.gradcheck(run, [t.clone().requires_grad_() for t in tensors], fast_mode=True)


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
    module = SplitAttention(16, 8, 3, 2, 1, cardinality=cardinality, radix=radix, norm=False).double()
    x = torch.randn(5, 16, 13, 9, dtype=torch.float64).contiguous(memory_format=memory_format)
    by_hand, plain = gradients(module.train(), x), gradients(module.eval(), x)
    torch.testing.assert_close(by_hand, plain, rtol=1e-12, atol=1e-12)
    assert by_hand[0].is_contiguous(memory_format=memory_format)
    assert plain[0].is_contiguous(memory_format=memory_format)


@pytest.mark.parametrize(("radix", "cardinality"), SHAPES)
@pytest.mark.parametrize("training", [True, False])
def test_in_float64_it_is_the_authors_module(radix: int, cardinality: int, training: bool) -> None:
    splat = pytest.importorskip("resnest.torch.splat", reason="the authors' package resnest 0.0.5")
    theirs = splat.SplAtConv2d(
        16, 16, 3, 1, 1, groups=cardinality, bias=False, radix=radix, norm_layer=nn.BatchNorm2d
    )
    ours = SplitAttention(16, 16, 3, 1, 1, cardinality=cardinality, radix=radix)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(5, 16, 9, 9, dtype=torch.float64)
    expected, got = (gradients(module.double().train(training), x) for module in (theirs, ours))
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict(), rtol=1e-12, atol=1e-12)


def test_it_keeps_no_weighted_copies_for_the_backward_pass() -> None:
    module, x = SplitAttention(16, 16, 3, padding=1, radix=4), torch.randn(2, 16, 32, 32, requires_grad=True)
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = module(x)
    maps = sorted(size for size in kept.values() if size >= x.numel())
    assert maps == [x.numel(), 4 * out.numel(), 4 * out.numel()], "input, convolved, rectified"


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
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())


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
    exported = torch.export.export(module, (torch.randn(4, 16, 8, 8),), dynamic_shapes=({0: batch},))
    called = [str(node.target) for node in exported.graph.nodes if node.op == "call_function"]
    assert all(target.startswith("aten.") or target.startswith("<built-in") for target in called)
    x = torch.randn(7, 16, 8, 8)
    torch.testing.assert_close(exported.module()(x), module(x))


def test_checkpointing_and_a_second_pass_over_the_same_graph_give_the_same_gradients() -> None:
    module, x = SplitAttention(16, 16, 3, padding=1), torch.randn(4, 16, 8, 8, requires_grad=True)
    (expected,) = torch.autograd.grad(module(x).square().sum(), x)
    loss = module(x).square().sum()
    for _ in range(2):
        torch.testing.assert_close(torch.autograd.grad(loss, x, retain_graph=True), (expected,))
    loss = checkpoint(module, x, use_reentrant=False).square().sum()
    torch.testing.assert_close(torch.autograd.grad(loss, x), (expected,))


def test_second_derivatives_are_refused_in_training_and_right_in_eval_mode() -> None:
    module = SplitAttention(4, 4, 3, padding=1).double()
    x = torch.randn(2, 4, 3, 3, dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(module(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()
    assert torch.autograd.gradgradcheck(module.eval(), (x,), fast_mode=True)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("radix", "cardinality"), SHAPES)
def test_counters_see_every_operator_in_both_modes(radix: int, cardinality: int, training: bool) -> None:
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        from fvcore.nn import FlopCountAnalysis
    module = SplitAttention(16, 8, 3, padding=1, cardinality=cardinality, radix=radix).train(training)
    count = FlopCountAnalysis(module, torch.randn(2, 16, 6, 6)).unsupported_ops_warnings(False)
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
