"""One architecture at a time, inside limits, as the iterator gives them."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from search_spaces import complexity, get_space

TIGHT = {"macs": (392e6, 408e6)}


def test_a_loop_draws_what_the_iterator_does() -> None:
    space = get_space("regnety")
    rng = np.random.default_rng(0)
    one_by_one = [space.sample(rng, TIGHT).id for _ in range(30)]
    at_once = [
        arch.id for arch in islice(space.samples(np.random.default_rng(0), TIGHT), 30)
    ]
    assert one_by_one == at_once


def test_equal_generators_draw_alike_whatever_ran_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("search_spaces.sampling.streams.STREAMS_KEPT", 2)
    space = get_space("regnety")
    kept = np.random.default_rng(1)
    first = space.sample(kept, TIGHT)
    second = space.sample(np.random.default_rng(2), TIGHT)
    # a stream that was closed, or never this generator's: it begins anew
    assert space.sample(np.random.default_rng(1), TIGHT) == first != second
    # too many others meanwhile: its own is closed, and what it has drawn by then stays drawn
    for seed in range(3, 6):
        space.sample(np.random.default_rng(seed), TIGHT)
    assert space.sample(kept, TIGHT) != first


def test_other_limits_and_other_spaces_are_other_streams() -> None:
    rng = np.random.default_rng(0)
    for space in (
        get_space("resnest"),
        get_space("regnety"),
        get_space(["resnest", "regnety"]),
    ):
        for high in (500e6, 900e6):
            assert (
                complexity(space.sample(rng, {"macs": (0.5 * high, high)})).macs <= high
            )


def test_a_small_space_begins_anew_when_all_is_drawn() -> None:
    narrow = get_space(
        "resnest",
        **{f"depth{stage}": 1 for stage in (1, 2, 3, 4)},
        **{f"width{stage}": 8 for stage in (1, 2, 3, 4)},
        bottleneck_width=64,
        radix=[1, 2],
        cardinality=1,
        stem_width=8,
        deep_stem=False,
        avg_down=True,
        avd=False,
        avd_first=False,
    )
    rng = np.random.default_rng(0)
    drawn = [narrow.sample(rng, {"macs": 1e12}) for _ in range(6)]
    assert len({arch.id for arch in drawn}) == 2


def test_out_of_reach_is_said_every_time() -> None:
    rng = np.random.default_rng(0)
    for _ in range(2):
        with pytest.raises(ValueError, match="found no architecture of space resnest"):
            get_space("resnest").sample(rng, {"macs": 1.0})
