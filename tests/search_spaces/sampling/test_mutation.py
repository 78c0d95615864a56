from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from search_spaces import ResNeSt, SearchSpace, get_space, reference

SPACE = get_space("resnest")


def corner(space: SearchSpace) -> ResNeSt:
    """The architecture of every knob's first choice."""
    arch = get_space(
        "resnest", **{name: choices[0] for name, choices in space.knobs().items()}
    ).sample(np.random.default_rng(0))
    assert isinstance(arch, ResNeSt)
    return arch


def changed(before: ResNeSt, after: ResNeSt) -> dict[str, tuple[Any, Any]]:
    a, b = SPACE.params(before), SPACE.params(after)
    return {
        name: (a.get(name), b.get(name)) for name in a | b if a.get(name) != b.get(name)
    }


def test_a_mutation_moves_one_knob_to_its_next_choice() -> None:
    rng = np.random.default_rng(0)
    knobs = SPACE.knobs()
    for _ in range(300):
        before = SPACE.sample(rng)
        after = SPACE.mutate(before, rng)
        assert after.id != before.id
        moved = changed(before, after)
        # avd brings its own knob into play, and takes it along
        assert len(moved) == 1 or set(moved) == {"avd", "avd_first"}
        for name, (old, new) in moved.items():
            if None not in (old, new):
                assert abs(knobs[name].index(old) - knobs[name].index(new)) == 1, name


def test_every_knob_of_an_architecture_is_moved_equally_often() -> None:
    rng = np.random.default_rng(0)
    before = reference("resnest50")
    names = [
        next(iter(changed(before, SPACE.mutate(before, rng)))) for _ in range(1600)
    ]
    counts = [names.count(name) for name in SPACE.params(before)]
    assert sum(counts) == 1600
    assert min(counts) > 60
    assert max(counts) < 145, (
        "100 each are expected, and 4.5 standard deviations are 44"
    )


def test_mutations_reach_every_choice_from_a_corner() -> None:
    space = get_space(
        "resnest",
        depth1=[1, 2], depth2=[1, 2, 3], depth3=[2, 4, 6], depth4=[1],
        width1=[32, 48], width2=[64, 96], width3=[128, 256], width4=[256], stem_width=[16, 24, 64],
    )  # fmt: skip
    rng = np.random.default_rng(0)
    arch = corner(space)
    seen: dict[str, set[Any]] = {name: set() for name in space.knobs()}
    for _ in range(2000):
        for name, value in space.params(arch).items():
            seen[name].add(value)
        arch = space.mutate(arch, rng)  # type: ignore[assignment]
    assert seen == {name: set(choices) for name, choices in space.knobs().items()}


def test_a_knob_that_comes_into_play_is_random() -> None:
    space = get_space("resnest", **{name: values[:1] for name, values in SPACE.knobs().items()} | {
        "avd": [True, False], "avd_first": [True, False],
    })  # fmt: skip
    rng = np.random.default_rng(0)
    after = [space.mutate(replace(corner(space), avd=False), rng) for _ in range(100)]
    firsts = [
        arch.avd_first for arch in after if isinstance(arch, ResNeSt) and arch.avd
    ]
    assert len(firsts) == 100
    assert 30 < sum(firsts) < 70


def test_choices_that_make_no_difference_are_passed_over() -> None:
    fixed = {name: values[:1] for name, values in SPACE.knobs().items()}
    narrow = {"width1": 8, "width2": 8, "width3": 8, "width4": 8, "radix": 4}
    space = get_space(
        "resnest", **fixed | narrow | {"bottleneck_width": [8, 16, 24, 32, 40]}
    )
    rng = np.random.default_rng(0)
    before = corner(space)
    assert SPACE.params(before)["bottleneck_width"] == 8
    assert SPACE.params(space.mutate(before, rng))["bottleneck_width"] == 40, (
        "8 to 32 all round up to 4"
    )
    with pytest.raises(ValueError, match="no knob of this space leads from resnest"):
        get_space("resnest", **fixed | narrow | {"bottleneck_width": [8, 16]}).mutate(
            before, rng
        )


def test_mutations_repeat_with_their_seed() -> None:
    def walk(seed: int) -> list[str]:
        rng, arch, ids = np.random.default_rng(seed), reference("resnest50"), []
        for _ in range(20):
            arch = SPACE.mutate(arch, rng)
            ids.append(arch.id)
        return ids

    assert walk(0) == walk(0)
    assert walk(0) != walk(1)


@pytest.mark.parametrize("knobs", [{"radix": 1}, {"radix": [0, 4]}, {"radix": [0, 1]}])
def test_an_architecture_outside_the_space_is_refused(knobs: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not in this space, which has no radix 2"):
        get_space("resnest", **knobs).mutate(
            reference("resnest50"), np.random.default_rng(0)
        )
