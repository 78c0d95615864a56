"""Where an image goes: what a border may move, against sets and counts taken one by one."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from evaluators import DataSettings
from evaluators.data.partition import divide, held_out


def draw(
    sizes: list[int], seed: int
) -> tuple[NDArray[np.int64], NDArray[np.uint64], np.random.Generator]:
    random = np.random.default_rng(seed)
    labels = random.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return labels, random.integers(0, 2**64, len(labels), dtype=np.uint64), random


def chosen_keys(
    labels: NDArray[np.int64], keys: NDArray[np.uint64], share: float, seed: int
) -> set[int]:
    drawn, rest = held_out(labels, keys, share, seed)
    assert sorted([*drawn, *rest]) == [*range(len(labels))]
    return {int(keys[index]) for index in drawn}


@pytest.mark.parametrize("seed", range(40))
def test_one_image_more_or_less_moves_one_at_most(seed: int) -> None:
    sizes = np.random.default_rng(seed).integers(2, 30, 5).tolist()
    labels, keys, random = draw(sizes, seed)
    share = (0.1, 0.2, 0.25, 0.5)[seed % 4]
    before = chosen_keys(labels, keys, share, seed)
    place, label = int(random.integers(len(labels))), int(random.integers(5))
    new = random.integers(0, 2**64, 1, dtype=np.uint64)
    after = chosen_keys(
        np.insert(labels, place, label), np.insert(keys, place, new), share, seed
    )
    assert len((before ^ after) - {int(new[0])}) <= 1


def test_every_class_gives_its_share_and_keeps_one() -> None:
    sizes = [400, 41, 10, 5, 3, 2, 1]
    labels, keys, _ = draw(sizes, 0)
    drawn, _ = held_out(labels, keys, 0.2, seed=3)
    assert np.bincount(labels[drawn], minlength=7).tolist() == [80, 8, 2, 1, 1, 1, 0]


@pytest.mark.parametrize("seed", range(10))
def test_copies_of_a_picture_stay_together(seed: int) -> None:
    labels, keys, _ = draw([60, 60, 60], seed)
    keys = keys % 45  # four copies of each, many of them in several classes
    drawn, rest = held_out(labels, keys, 0.2, seed)
    together = set(zip(labels[drawn], keys[drawn], strict=True))
    assert not together & set(zip(labels[rest], keys[rest], strict=True))
    assert np.abs(np.bincount(labels[drawn]) - 12).max() <= 3


def test_where_there_are_only_copies_both_sides_have_some() -> None:
    labels = np.repeat([0, 1], [10, 10])
    keys = np.repeat(np.uint64([7, 8, 9]), [10, 9, 1])
    for seed in range(5):
        drawn, rest = held_out(labels, keys, 0.2, seed)
        assert set(labels[drawn]) == set(labels[rest]) == {0, 1}


def test_a_subset_has_the_number_asked_for_whatever_is_copied() -> None:
    labels, keys, _ = draw([50, 30, 3], 1)
    for count in (6, 20, 83):
        settings = DataSettings("imagefolder", "here", subset=count, validation=0.2)
        train, validation = divide(labels, settings, keys % 20)
        assert len(train) + len(validation) == count
        assert set(labels[train]) == {0, 1, 2}
        assert len({*train.tolist(), *validation.tolist()}) == count
