"""Images that a network of a few weights learns at once."""

import pytest
import torch

from evaluators import Dataset
from search_spaces import Task
from tests.evaluators.training.tiny_training import two_shades


@pytest.fixture
def dataset() -> Dataset:
    mean, deviation = torch.full((3,), 80.0), torch.full((3,), 50.0)
    return Dataset(
        two_shades(100, 0), two_shades(60, 1), Task(2, 8, 3, True), mean, deviation
    )
