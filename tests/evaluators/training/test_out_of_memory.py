"""When memory runs out, an epoch is trained again in parts half as large."""

from dataclasses import replace

import pytest
from torch import nn

from evaluators import Dataset
from tests.evaluators.training.tiny_training import (
    QUICK,
    Tiny,
    learnt,
    run,
    training,
)


def test_out_of_memory_is_tried_again_in_parts(dataset: Dataset) -> None:
    model = Tiny(largest=16)
    trained = run(training(dataset, model=model))
    assert [row["batch_splits"] for row in trained.history] == [2, 2, 2]
    assert model.refused == 1
    # the epoch starts over from the same weights
    assert learnt(run(training(dataset, replace(QUICK, accumulate=2)))) == learnt(
        trained
    )


def test_out_of_memory_in_the_middle_repeats_the_epoch(dataset: Dataset) -> None:
    model = Tiny()
    trained = training(dataset, model=model)
    trained.next_epoch()
    state = trained.state_dict()
    expected = training(dataset)
    expected.load_state_dict(state | {"splits": 2})
    model.largest = 16
    assert trained.next_epoch()["batch_splits"] == 2
    expected.next_epoch()
    assert learnt(trained) == learnt(expected)


def test_parts_are_remembered(dataset: Dataset) -> None:
    first = training(dataset, model=Tiny(largest=16))
    first.next_epoch()
    model = Tiny(largest=16)
    second = training(dataset, model=model)
    second.load_state_dict(first.state_dict())
    assert second.next_epoch()["batch_splits"] == 2
    assert model.refused == 0


def test_out_of_memory_twice_is_the_end(dataset: Dataset) -> None:
    model = Tiny(largest=8)
    with pytest.raises(RuntimeError, match=r"memory"):
        training(dataset, model=model).next_epoch()
    assert model.refused == 2


def test_other_errors_are_not_tried_again(dataset: Dataset) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(7, 2))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        training(dataset, model=model).next_epoch()
