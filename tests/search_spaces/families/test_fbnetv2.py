from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import torch

from search_spaces import (
    FBNetV2,
    SplitAttention,
    Task,
    arch_from_dict,
    build,
    reference,
)
from search_spaces.blocks.layers import DepthwiseSplits
from search_spaces.families.fbnetv2 import nearest_width

F4 = reference("fbnetv2_f4")
TINY = FBNetV2(
    rows=(1, 1, 1, 1, 1),
    operators=("k3", "k5", "skip", "k3", "k3"),
    widths=(8, 16, 16, 24, 32),
    expansions=(1.0, 2.0, 1.0, 3.0, 2.0),
    repeats=(1, 2, 1, 1, 1),
    attended=(False, True, False, True, False),
    features=64,
    resolution=64,
)


@pytest.mark.parametrize(
    ("channels", "width"),
    [(3, 8), (43.68, 48), (44, 48), (12, 16), (87.36, 88), (8.4, 8), (8.5, 16)],
)
def test_widths_round_to_the_nearest_eight_but_lose_little(
    channels: float, width: int
) -> None:
    assert nearest_width(channels) == width


def test_splits_of_a_depthwise_convolution_are_convolutions_of_every_channel() -> None:
    torch.manual_seed(0)
    conv = DepthwiseSplits(6, 18, 3, 2, 1, groups=6)
    x = torch.randn(2, 6, 9, 9)
    for split, (weight, bias, maps) in enumerate(
        zip(
            conv.weight.chunk(3),
            conv.bias.chunk(3),
            conv(x).chunk(3, dim=1),
            strict=True,
        )  # type: ignore[union-attr]
    ):
        expected = torch.nn.functional.conv2d(x, weight, bias, 2, 1, groups=6)
        torch.testing.assert_close(maps, expected, msg=f"split {split}")


def test_radix_and_width_of_the_gate_reach_the_module() -> None:
    model = build(replace(TINY, attention="split", radix=4), Task(10))
    modules = [
        module for module in model.modules() if isinstance(module, SplitAttention)
    ]
    assert [(m.radix, m.conv.groups, m.fc1.out_channels) for m in modules] == [
        (4, 16, 8),
        (4, 32, 8),
        (4, 48, 16),
    ]


@pytest.mark.parametrize(
    ("task", "side"),
    [
        (Task(resolution=224), 64),
        (Task(resolution=64), 64),
        (Task(resolution=32), 64),
        (Task(resolution=224, small_images=True), 64),
        (Task(resolution=32, small_images=True), 9),
        (Task(resolution=2, small_images=True), 1),
    ],
)
def test_the_network_resizes_its_input(task: Task, side: int) -> None:
    model = build(TINY, task)
    x = torch.rand(1, 3, task.resolution, task.resolution)
    assert model.get_submodule("resize")(x).shape[2:] == (side, side)


def test_small_images_at_224_stay_as_they_are() -> None:
    x = torch.rand(1, 3, 32, 32)
    model = build(replace(TINY, resolution=224), Task(10, 32, small_images=True))
    assert model.get_submodule("resize")(x) is x


def test_knobs_without_effect_take_their_plainest_value() -> None:
    assert replace(TINY, radix=4) == TINY
    assert (
        replace(TINY, expansions=(1.0, 2.0, 5.5, 3.0, 2.0), repeats=(1, 2, 9, 1, 1))
        == TINY
    )
    assert replace(TINY, attention="none", attended=(True,) * 5) == replace(
        TINY, attention="none", attended=(False,) * 5
    )
    assert replace(TINY, attention="split").id != TINY.id


def test_a_skip_that_keeps_the_shape_is_no_block() -> None:
    skipped = FBNetV2(
        (1, 2, 1, 1, 1),
        ("k3", "k5", "skip", *["k3"] * 3),
        (8, 16, 16, 24, 32, 40),
        *_rest(6),
    )
    without = FBNetV2(
        (1, 1, 1, 1, 1), ("k3", "k5", *["k3"] * 3), (8, 16, 24, 32, 40), *_rest(5)
    )
    assert skipped != without
    assert skipped.id == without.id


def _rest(rows: int) -> tuple[Any, ...]:
    return (1.0,) * rows, (1,) * rows, (False,) * rows


def test_the_width_multiplier_scales_all_but_the_features() -> None:
    half = build(replace(F4, width_multiplier=0.5)).state_dict()  # type: ignore[call-arg]
    full = build(F4).state_dict()
    assert half["conv1.weight"].shape[0] * 2 == full["conv1.weight"].shape[0]
    assert half["expand.weight"].shape[1] * 2 == full["expand.weight"].shape[1]
    assert half["embed.weight"].shape[0] == full["embed.weight"].shape[0]


def test_only_residual_branches_start_at_zero() -> None:
    model = build(TINY, Task(10))
    assert float(model.get_parameter("layer2.0.project_bn.weight").detach().sum()) == 16
    assert float(model.get_parameter("layer2.1.project_bn.weight").detach().sum()) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": [1, 1, 1, 1]}, "rows must have 5 entries"),
        ({"rows": [1, 1, 1, 1, 2]}, "operators must have 6 entries"),
        (
            {"operators": ["k3", "k7", "skip", "k3", "k3"]},
            r"operators \(entry 2\) must be k3, k5 or skip, got 'k7'",
        ),
        (
            {"expansions": [1, 2, 1, "3", 2]},
            "expansions must be a list of finite numbers",
        ),
        (
            {"expansions": [1, 2, 1, float("inf"), 2]},
            "expansions must be a list of finite numbers",
        ),
        (
            {"expansions": [1, 2, 1, 0.5, 2]},
            r"expansions \(entry 4\) must be 1.0 to 10.0 in steps of 0.01, got 0.5",
        ),
        ({"attended": [0, 1, 0, 0, 0]}, "attended must be a list of bool"),
        (
            {"activations": ["relu"] * 4 + ["gelu"]},
            r"activations \(entry 5\) must be relu or hswish, got 'gelu'",
        ),
        ({"resolution": 100}, "resolution must be 32 to 512 in steps of 16, got 100"),
    ],
)
def test_a_wrong_field_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        arch_from_dict(TINY.to_dict() | changes)


def test_a_missing_field_is_named() -> None:
    values = TINY.to_dict()
    del values["widths"]
    with pytest.raises(ValueError, match="FBNetV2 needs a field 'widths'"):
        arch_from_dict(values)


def test_whole_numbers_in_json_are_floats() -> None:
    text = json.dumps(TINY.to_dict()).replace("2.0", "2")
    assert repr(arch_from_dict(json.loads(text))) == repr(TINY)


def test_an_activation_that_nothing_uses_makes_no_new_network() -> None:
    """Without expansions the one activation is split attention's own."""
    knobs: dict[str, Any] = {
        "rows": (1,) * 5, "operators": ("k3",) * 5, "widths": (8, 16, 24, 32, 40), "expansions": (1.0,) * 5,
        "repeats": (1,) * 5, "attended": (True,) * 5, "attention": "split", "radix": 2, "stem_width": 8,
    }  # fmt: skip
    relu, hswish = (
        FBNetV2(**knobs, activations=(name,) * 5) for name in ("relu", "hswish")
    )
    assert relu.id == hswish.id
    knobs |= {"attention": "se", "radix": 1}
    relu, hswish = (
        FBNetV2(**knobs, activations=(name,) * 5) for name in ("relu", "hswish")
    )
    assert relu.id != hswish.id
