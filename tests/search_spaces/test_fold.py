from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import (
    parametrizations,
    parametrize,
    prune,
    spectral_norm,
    weight_norm,
)

from search_spaces import ResNeSt, SplitAttention, Task, build, fold
from search_spaces.counting import unsettled

SMALL = {"depths": (1, 2, 1, 1), "widths": (8, 8, 16, 16), "stem_width": 8}
NETWORKS = {
    "default": ResNeSt(**SMALL),
    "fast, radix 4, cardinality 2": ResNeSt(
        **SMALL, radix=4, cardinality=2, avd_first=True
    ),
    "radix 1": ResNeSt(**SMALL, radix=1),
    "plain ResNet": ResNeSt(
        **SMALL, radix=0, cardinality=2, deep_stem=False, avg_down=False, avd=False
    ),
}


def norms(model: nn.Module) -> list[str]:
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.BatchNorm2d)
    ]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(
    "task", [Task(7, 64), Task(7, 33, 1, small_images=True)], ids=["large", "small"]
)
def test_a_folded_network_has_no_norm_and_the_same_logits(
    name: str, task: Task
) -> None:
    x = torch.randn(
        4, task.channels, task.resolution, task.resolution, dtype=torch.float64
    )
    model = unsettled(build(NETWORKS[name], task).double(), x)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    folded = fold(model)

    assert type(folded) is type(model)
    assert not folded.training
    assert not norms(folded)
    assert model.training, "the original stays as it was"
    assert all(
        torch.equal(value, before[key]) for key, value in model.state_dict().items()
    )
    with torch.inference_mode():
        torch.testing.assert_close(folded(x), model.eval()(x), rtol=1e-9, atol=1e-9)


def test_a_convolution_with_groups_and_bias_folds() -> None:
    x = torch.randn(4, 16, 9, 9, dtype=torch.float64)
    module = unsettled(
        SplitAttention(16, 8, 3, padding=1, cardinality=2, bias=True).double(), x
    )
    folded = fold(module)
    assert not norms(folded)
    torch.testing.assert_close(folded(x), module.eval()(x), rtol=1e-9, atol=1e-9)


class Odd(nn.Module):
    """Registered against the order of use."""

    def __init__(self, way: str, track: bool = True) -> None:
        super().__init__()
        self.way = way
        self.norm = nn.BatchNorm2d(4, track_running_stats=track)
        self.after = nn.Conv2d(4, 4, 1)
        self.conv = nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        if self.way == "norm first":
            return self.after(self.norm(x))
        if self.way == "relu between":
            return self.norm(self.conv(x).relu())
        out = self.conv(x)
        if self.way == "twice":
            out = self.conv(out)
        if self.way == "data" and x.sum() > 0:
            return x
        return self.after(self.norm(out)) + (out if self.way == "shortcut" else 0)


def test_data_flow_decides_not_the_order_of_registration() -> None:
    x = torch.randn(3, 4, 5, 5, dtype=torch.float64)
    model = unsettled(Odd("straight").double(), x)
    folded = fold(model)
    assert not norms(folded)
    torch.testing.assert_close(folded(x), model.eval()(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("way", "message"),
    [
        ("norm first", "norm has no convolution before it"),
        ("relu between", "norm has no convolution before it"),
        ("shortcut", "norm cannot be folded: conv is used elsewhere too"),
        ("twice", "norm cannot be folded: conv is used elsewhere too"),
        (
            "data",
            "the data flow of Odd cannot be followed: symbolically traced variables",
        ),
    ],
)
def test_a_norm_that_cannot_be_folded_is_named(way: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fold(Odd(way))


def test_a_norm_without_running_statistics_is_named() -> None:
    with pytest.raises(
        ValueError, match="norm cannot be folded: it keeps no running statistics"
    ):
        fold(Odd("straight", track=False))


def test_what_is_used_in_two_places_is_named() -> None:
    norm, conv = nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1)
    with pytest.raises(ValueError, match="1 cannot be folded: 1 is used elsewhere too"):
        fold(nn.Sequential(conv, norm, nn.Conv2d(3, 3, 1), norm))
    conv.register_forward_hook(lambda module, args, output: output)
    with pytest.raises(ValueError, match="1 cannot be folded: 0 has hooks"):
        fold(nn.Sequential(conv, nn.BatchNorm2d(3)))


class Mask(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight * (weight > 0)


def test_parametrised_weights_are_baked_in() -> None:
    task = Task(7, 32, small_images=True)
    x = torch.randn(4, 3, 32, 32, dtype=torch.float64)
    model = unsettled(build(NETWORKS["default"], task).double(), x)
    first = model.layer1[0]
    parametrizations.weight_norm(first.conv1)
    parametrize.register_parametrization(first.conv2.conv, "weight", Mask())
    parametrizations.spectral_norm(model.fc)
    folded = fold(model)
    assert parametrize.is_parametrized(model.layer1[0].conv1), (
        "the original stays as it was"
    )
    assert not any(parametrize.is_parametrized(module) for module in folded.modules())
    assert not norms(folded)
    with torch.inference_mode():
        torch.testing.assert_close(folded(x), model.eval()(x), rtol=1e-9, atol=1e-9)


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm`:FutureWarning")
def test_weights_that_hooks_compute_are_baked_in() -> None:
    """torch's pruning and its older norms leave a computed tensor where the weight was."""
    task = Task(7, 32, small_images=True)
    x = torch.randn(4, 3, 32, 32, dtype=torch.float64)
    model = unsettled(build(NETWORKS["default"], task).double(), x)
    first = model.layer1[0]
    prune.l1_unstructured(first.conv1, "weight", 0.5)
    prune.random_unstructured(first.conv1, "weight", 0.5)
    weight_norm(first.conv2.conv)
    spectral_norm(model.layer2[0].conv1)
    model.train()(x)  # the computed weights are now part of a graph
    folded = fold(model)
    assert hasattr(first.conv1, "weight_orig"), "the original stays as it was"
    assert (folded.layer1[0].conv1.weight == 0).float().mean() > 0.7
    assert not norms(folded)
    with torch.inference_mode():
        torch.testing.assert_close(folded(x), model.eval()(x), rtol=1e-9, atol=1e-9)
