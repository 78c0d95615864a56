"""Which images make which batch, down to a single one."""

from dataclasses import replace

import pytest

from evaluators import Dataset
from evaluators.training.batch_order import BatchOrder
from evaluators.training.fidelity import Fidelity
from evaluators.training.shard import ALONE
from tests.evaluators.training.tiny_training import (
    QUICK,
    Sizes,
    learnt,
    run,
    training,
    two_shades,
)


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (96, [32] * 3),
        (98, [32] * 3),
        (112, [32] * 3),
        (113, [32, 32, 32, 17]),
        (20, [20]),
        (33, [32]),
    ],
)
def test_a_rest_of_a_few_images_is_left_out(
    dataset: Dataset, images: int, expected: list[int]
) -> None:
    sizes = Sizes()
    training(replace(dataset, train=two_shades(images, 0)), model=sizes).next_epoch()
    assert sizes.seen == expected


def test_what_is_left_out_is_another_rest_every_epoch(dataset: Dataset) -> None:
    few = replace(dataset, train=two_shades(40, 0))
    recipe = replace(QUICK, epochs=12)
    order = BatchOrder(Fidelity.of(few, recipe), recipe.batch_size, 0, ALONE)
    seen: set[int] = set()
    for epoch in range(12):
        (batch,) = order.batches(epoch)
        seen |= set(batch.tolist())
    assert seen == set(range(40))


def test_a_batch_larger_than_the_data_trains_at_the_rate_of_the_data(
    dataset: Dataset,
) -> None:
    large = training(dataset, replace(QUICK, batch_size=400))
    exact = training(dataset, replace(QUICK, batch_size=100))
    run(large)
    run(exact)
    assert learnt(large) == learnt(exact)


@pytest.mark.parametrize(("accumulate", "expected"), [(2, [16] * 6), (16, [8] * 12)])
def test_parts_have_eight_images(
    dataset: Dataset, accumulate: int, expected: list[int]
) -> None:
    sizes = Sizes()
    training(dataset, replace(QUICK, accumulate=accumulate), sizes).next_epoch()
    assert sizes.seen == expected


def test_one_image_more_than_batches(dataset: Dataset) -> None:
    seen = training(dataset, replace(QUICK, batch_size=33)).next_epoch()
    assert seen["images_per_second"] > 0


def test_one_image_cannot_train(dataset: Dataset) -> None:
    alone = replace(dataset, train=two_shades(1, 0))
    with pytest.raises(
        ValueError, match=r"too few training images: 1 process.* there are 1"
    ):
        training(alone)


@pytest.mark.parametrize("images", [2, 3, 33])
def test_fewer_images_than_a_batch(dataset: Dataset, images: int) -> None:
    few = replace(dataset, train=two_shades(images, 0))
    assert training(few, replace(QUICK, accumulate=16)).next_epoch()["epoch"] == 1
