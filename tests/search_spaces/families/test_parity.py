"""The authors' code is the oracle: stored fixtures of it, and their package itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from search_spaces import ResNeSt, SplitAttention, Task, build, reference

REFERENCE = Path(__file__).parents[2] / "reference"
MODULES = sorted(REFERENCE.glob("*_splat_*.npz"))
MODELS = ["resnest14d_like", "tiny_1s4x24d_10c"]


def module_of(config: dict[str, Any]) -> SplitAttention:
    return SplitAttention(
        config["in_channels"],
        config["channels"],
        config["kernel_size"],
        config["stride"],
        config["padding"],
        config["dilation"],
        cardinality=config["groups"],
        radix=config["radix"],
        bias=config["bias"],
        norm=config["norm"],
        reduction=config["reduction_factor"],
    )


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_split_attention_equals_the_authors_module(path: Path) -> None:
    fixture = {
        key: torch.from_numpy(value)
        for key, value in np.load(path).items()
        if key != "config"
    }
    module = module_of(json.loads(str(np.load(path)["config"])))
    state = {
        key.removeprefix("sd/"): value
        for key, value in fixture.items()
        if key.startswith("sd/")
    }
    module.load_state_dict(state, strict=True)

    torch.testing.assert_close(
        module.eval()(fixture["x"]), fixture["y_eval"], rtol=1e-5, atol=1e-5
    )

    x = fixture["x"].clone().requires_grad_()
    y = module.train()(x)
    y.square().sum().backward()
    torch.testing.assert_close(y, fixture["y_train"], rtol=1e-4, atol=1e-4)
    assert x.grad is not None
    # the norm over few 1x1 maps magnifies rounding: the fixtures themselves are off by 8e-6 of this scale
    scale = float(fixture["grad_x"].abs().max())
    torch.testing.assert_close(x.grad, fixture["grad_x"], rtol=1e-4, atol=2e-5 * scale)
    # fc1.bias stands before a batch norm: its true gradient is 0, what is stored is rounding noise
    noise = 1e-4 * max(
        float(fixture[f"gradnorm/{name}"]) for name, _ in module.named_parameters()
    )
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None
        expected = fixture[f"gradnorm/{name}"]
        torch.testing.assert_close(
            parameter.grad.norm(), expected, rtol=1e-4, atol=noise, msg=name
        )
    for name, buffer in module.named_buffers():
        torch.testing.assert_close(
            buffer, fixture[f"after_train/{name}"], rtol=1e-4, atol=1e-4
        )


def uniform(count: int, tensor: int) -> NDArray[np.float64]:
    """The fixtures' exact hash: ``count`` numbers in [-1, 1) for tensor number ``tensor``."""
    h = (np.arange(count, dtype=np.uint64) + 0x9E3779B9 * (tensor + 1)) & 0xFFFFFFFF
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        h = ((h ^ (h >> np.uint64(shift))) * factor) & 0xFFFFFFFF
    return 2 * ((h ^ (h >> np.uint64(16))) / 2**32) - 1


def fill(model: nn.Module) -> None:
    """Weights as the fixtures' manifest describes them."""
    for number, (key, tensor) in enumerate(model.state_dict().items()):
        s = torch.from_numpy(uniform(tensor.numel(), number)).reshape(tensor.shape)
        if key.endswith("num_batches_tracked"):
            s = torch.zeros(())
        elif key.endswith("running_var"):
            s = 1.0 + 0.5 * s
        elif key.endswith(("running_mean", "bias")):
            s = 0.1 * s
        elif tensor.ndim == 1:
            s = 0.8 + 0.2 * s
        else:
            s = s * np.sqrt(6 / tensor[0].numel())
        tensor.copy_(s.float())


@pytest.mark.parametrize("resolution", [64, 75])
@pytest.mark.parametrize("name", MODELS)
def test_whole_networks_equal_the_authors_logits(name: str, resolution: int) -> None:
    fixture = np.load(REFERENCE / f"model_{name}.npz")
    config = json.loads(str(fixture["config"]))
    arch = ResNeSt(
        depths=tuple(config["layers"]),
        cardinality=config["groups"],
        **{
            k: v
            for k, v in config.items()
            if k not in ("layers", "groups", "num_classes")
        },
    )
    model = build(arch, Task(config["num_classes"], resolution))
    fill(model)
    pixels = 2 * uniform(2 * 3 * resolution**2, 999_983).astype(np.float32)
    x = torch.from_numpy(pixels).reshape(2, 3, resolution, resolution)

    with torch.inference_mode():
        logits = model.double().eval()(x.double()).numpy()
    expected = fixture[f"logits_eval_f64_r{resolution}"]
    assert np.abs(logits - expected).max() <= 1e-9 * np.abs(expected).max()


@pytest.mark.parametrize(
    "name",
    [
        "resnest50",
        "resnest50_fast_4s1x64d",
        "resnest50_fast_2s2x40d",
        "resnest50_fast_1s4x24d",
    ],
)
def test_official_checkpoints_load_and_give_the_same_logits(name: str) -> None:
    official = pytest.importorskip(
        "resnest.torch", reason="the authors' package resnest 0.0.5"
    )
    theirs = getattr(official, name)(pretrained=False).eval()
    ours = build(reference(name)).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    assert list(ours.state_dict()) == list(theirs.state_dict())

    x = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(ours(x), theirs(x))


def test_without_attention_a_checkpoint_of_the_authors_radix_0_loads() -> None:
    resnet = pytest.importorskip(
        "resnest.torch.resnet", reason="the authors' package resnest 0.0.5"
    )
    knobs = {
        "radix": 0,
        "bottleneck_width": 40,
        "deep_stem": False,
        "avg_down": False,
        "avd": False,
    }
    theirs = resnet.ResNet(resnet.Bottleneck, [1, 2, 1, 1], groups=2, **knobs).eval()
    arch = ResNeSt((1, 2, 1, 1), cardinality=2, **knobs)  # type: ignore[arg-type]
    ours = build(arch).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)

    x = torch.randn(2, 3, 65, 65, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(ours(x), theirs(x))


def test_zero_gamma_starts_every_block_as_its_shortcut() -> None:
    block = build(ResNeSt((1, 2, 1, 1)), Task(10, 32)).get_submodule("layer2.1")
    x = torch.rand(2, 512, 8, 8)
    torch.testing.assert_close(block(x), x)
    untouched = build(
        ResNeSt((1, 2, 1, 1)), Task(10, 32), zero_gamma=False
    ).get_submodule("layer2.1")
    assert not torch.allclose(untouched(x), x)


def test_radix_one_is_a_sigmoid_gate() -> None:
    module = SplitAttention(8, 8, 3, padding=1, radix=1, norm=False).eval()
    x = torch.randn(2, 8, 5, 5)
    features = torch.relu(module.conv(x))
    gate = module.fc2(torch.relu(module.fc1(features.mean((2, 3), keepdim=True))))
    torch.testing.assert_close(module(x), features * gate.sigmoid())


def test_weights_over_splits_sum_to_one_in_every_channel() -> None:
    module = SplitAttention(32, 32, 3, cardinality=2, radix=4)
    weights: Tensor = module.attention(torch.randn(3, 128, 1, 1))
    torch.testing.assert_close(weights.view(3, 4, 32).sum(1), torch.ones(3, 32))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"in_channels": 40, "channels": 40, "radix": 3},
            "does not divide in_channels 40; try 42",
        ),
        (
            {"in_channels": 40, "channels": 42, "cardinality": 4},
            "does not divide channels 42; try 44",
        ),
        ({"in_channels": 40, "channels": 40, "radix": 0}, "at least 1, got 0 and 1"),
    ],
)
def test_channels_that_do_not_split_are_refused(
    arguments: dict[str, int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        SplitAttention(kernel_size=3, **arguments)
