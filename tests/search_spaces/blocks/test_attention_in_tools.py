"""The module under what else torch does with a network: autocast, compilers, export, tracing, quantisation."""

from __future__ import annotations

import warnings
from copy import deepcopy

import pytest
import torch
from torch.ao.quantization import (
    disable_fake_quant,
    enable_fake_quant,
    get_default_qat_qconfig_mapping,
)
from torch.ao.quantization.quantize_fx import convert_fx, prepare_qat_fx
from torch.utils.checkpoint import checkpoint

from search_spaces import SplitAttention, Tally
from tests.search_spaces.blocks.attention_cases import SHAPES, gradients


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
