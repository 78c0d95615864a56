from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from search_spaces import (
    Grid,
    RegNetY,
    Task,
    arch_from_dict,
    build,
    complexity,
    get_space,
    reference,
)
from search_spaces.families.regnety import four_stages, level

SPACE = get_space("regnety")


def draw(count: int, **knobs: Any) -> list[RegNetY]:
    rng = np.random.default_rng(0)
    space = get_space("regnety", **knobs)
    return [space.sample(rng) for _ in range(count)]  # type: ignore[misc]


def numpy_widths(arch: RegNetY) -> list[int]:
    """The paper's quantisation of one width a block, in numpy, half to even."""
    u = arch.w0 + arch.wa * np.arange(arch.depth)
    s = np.round(np.log(u / arch.w0) / np.log(arch.wm))
    return [int(width) for width in np.round(arch.w0 * np.power(arch.wm, s) / 8) * 8]


def test_stages_are_the_papers_quantisation() -> None:
    for arch in draw(500):
        raw = Counter(numpy_widths(arch))
        assert [stage.depth for stage in arch.stages()] == [
            raw[width] for width in sorted(raw)
        ]
        for stage, width in zip(arch.stages(), sorted(raw), strict=True):
            assert stage.group_width == min(arch.group_width, width)
            assert stage.width % stage.group_width == 0
            assert abs(stage.width - width) <= stage.group_width / 2


def test_widths_round_half_to_even() -> None:
    # 24 * 1.5 = 36 is 4.5 eights and becomes 32; 40 / 16 is 2.5 groups and becomes 2
    arch = RegNetY(depth=2, w0=24, wa=12.0, wm=1.5, group_width=8)
    assert [stage.width for stage in arch.stages()] == [24, 32]
    arch = RegNetY(depth=1, w0=40, wa=0.0, wm=2.0, group_width=16)
    assert [stage.width for stage in arch.stages()] == [32]


def test_every_draw_has_four_stages() -> None:
    assert {len(arch.stages()) for arch in draw(2000)} == {4}
    assert {
        len(arch.stages())
        for arch in draw(200, depth=range(5, 9), wa=Grid(1, 1024, 0.01))
    } == {4}


def test_folding_keeps_draws_even() -> None:
    """All wa that give four stages are equally likely, as when drawing until there are four."""
    choices = Grid(1.0, 600.0, 1.0)
    rng = np.random.default_rng(0)
    drawn = [float(choices[int(i)]) for i in rng.integers(len(choices), size=20_000)]
    folded = [four_stages(wa, choices, depth=16, w0=48, wm=2.5) for wa in drawn]
    kept = [
        wa for wa in drawn if {level(j, 48, wa, 2.5) for j in range(16)} == {0, 1, 2, 3}
    ]
    assert set(folded) == set(kept)
    shares = np.array(list(Counter(folded).values())) / len(folded) * len(set(folded))
    assert shares.min() > 0.7
    assert shares.max() < 1.3
    assert all(four_stages(wa, choices, 16, 48, 2.5) == wa for wa in kept)


def test_where_no_choice_gives_four_stages_the_network_has_what_results() -> None:
    assert {len(arch.stages()) for arch in draw(20, wa=0, group_width=8)} == {1}


def test_knobs_without_effect_take_their_defaults() -> None:
    assert RegNetY(attention="se", radix=4) == RegNetY(attention="se")
    assert RegNetY(attention="none", gate_reduction=2) == RegNetY(attention="none")
    assert RegNetY(attention="split", radix=1).id != RegNetY().id
    assert RegNetY(wa=27.90).id == RegNetY(wa=27.89).id, "both give the same widths"


def test_an_int_is_as_good_as_the_float() -> None:
    assert RegNetY(wa=30) == RegNetY(wa=30.0)
    assert repr(RegNetY(wa=30)) == repr(RegNetY(wa=30.0))
    assert RegNetY(wa=-0.0).to_dict() == RegNetY(wa=0).to_dict()
    assert {arch.wa for arch in draw(5, wa=30, depth=16, w0=48, wm=2)} == {30.0}


def test_split_attention_keeps_the_macs_of_the_convolution() -> None:
    plain, split = RegNetY(attention="none"), RegNetY(attention="split", radix=4)
    widths = [
        block.conv.channels for stage in plain.describe().stages for block in stage
    ]  # type: ignore[attr-defined]
    inputs = [plain.stem_width, *widths[:-1]]
    gates = sum(w * (i // 4) * (1 + 4) for w, i in zip(widths, inputs, strict=True))
    assert complexity(split).macs - complexity(plain).macs == gates


def test_the_gate_sees_all_channels() -> None:
    """Scaling one group's input changes the weights of another's: the gate is dense where groups are many."""
    block = (
        build(RegNetY(attention="split", radix=2), Task(10, 32))
        .get_submodule("layer1.0.conv2")
        .eval()
    )
    x = torch.rand(1, 48, 8, 8)
    other = x.clone()
    other[:, :4] *= 100
    assert not torch.allclose(block(x)[:, 40:], block(other)[:, 40:])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"wa": "36"}, "wa must be a finite number, got '36'"),
        ({"wa": True}, "wa must be a finite number, got True"),
        ({"wm": float("nan")}, "wm must be a finite number, got nan"),
        ({"wa": 36.123}, r"wa must be 0.0 to 1024.0 in steps of 0.01, got 36.123"),
        ({"wm": 1.0}, r"wm must be 1.1 to 8.0 in steps of 0.01, got 1.0"),
        ({"w0": 20}, "w0 must be 8 to 1024 in steps of 8, got 20"),
        ({"attention": "splat"}, "attention must be none, se or split, got 'splat'"),
        ({"attention": "split", "radix": 3}, "radix must be 1, 2 or 4, got 3"),
    ],
)
def test_a_wrong_field_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        arch_from_dict(RegNetY().to_dict() | changes)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"wa": [30.005]}, "wa must be .* got 30.005"),
        ({"wa": Grid(20, 60, 0.005)}, "wa must be .* got 20.005"),
        ({"wm": "2.5"}, "wm must be .* got '2.5'"),
        ({"depth": Grid(8, 16, 1)}, "depth must be 1 to 100, got 8"),
    ],
)
def test_a_wrong_choice_is_named(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        get_space("regnety", **knobs)


def test_a_number_too_large_for_a_float_is_named() -> None:
    with pytest.raises(
        ValueError, match="RegNetY: wa must be a finite number, got 1000"
    ):
        arch_from_dict(reference("regnety_200mf").to_dict() | {"wa": 10**400})
