"""An epoch leaves the device alone: it gives work and waits for nothing but the two results."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.gpu.host_reads import HostReads
from evaluators import Augmentation, Dataset, Recipe, Split
from evaluators.devices.seeding import build_seeded
from evaluators.training.engine import Training
from search_spaces import ResNeSt, Task

CPU = torch.device("cpu")
ARCH = ResNeSt((1, 1, 1, 1), (8, 8, 8, 8), stem_width=8)
EVERYTHING = Recipe(
    epochs=2,
    batch_size=32,
    warmup_epochs=0,
    augment=Augmentation(
        shift=1, flip=True, crop_scale=0.5, cutout=3, erasing=0.3, mixup=0.5
    ),
    clip_norm=1.0,
    ema=0.9,
    accumulate=2,
    precision="bfloat16",
    stochastic_depth=0.2,
    drop_block=0.2,
)


@pytest.fixture
def dataset() -> Dataset:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (300, 3, 16, 16), generator=generator).byte()
    labels = torch.randint(4, (300,), generator=generator)
    train, validation = Split(images[:100], labels[:100]), Split(images, labels)
    task = Task(4, 16, 3, small_images=True)
    return Dataset(
        train, validation, task, torch.full((3,), 128.0), torch.full((3,), 70.0)
    )


@pytest.mark.parametrize(
    "recipe",
    [Recipe(batch_size=32), EVERYTHING, Recipe(batch_size=32, optimizer="muon")],
    ids=["plain", "everything", "muon"],
)
def test_an_epoch_reads_two_results(dataset: Dataset, recipe: Recipe) -> None:
    model = build_seeded(ARCH, dataset.task, 0)
    training = Training(model, dataset, recipe, CPU)
    with HostReads() as reads:
        training.next_epoch()
    assert reads.names == ["tolist", "tolist"]


@pytest.mark.parametrize(
    "read",
    [
        lambda x: x.sum().item(),
        lambda x: bool(x.any()),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: x.numpy(),
        lambda x: x.cpu(),
        lambda x: torch.equal(x, x + 1),
    ],
)
def test_reading_is_noticed(read: Any) -> None:
    values = torch.arange(4.0)
    with HostReads() as reads:
        read(values + 1)
    assert reads.names


def test_numbers_of_the_host_may_be_read() -> None:
    with HostReads() as reads:
        int(torch.randint(9, (), generator=torch.Generator()))
    assert reads.names == []


class PixelOperators(TorchDispatchMode):
    """Names of the operators that give at least ``least`` numbers and are no views."""

    def __init__(self, least: int) -> None:
        super().__init__()
        self.names: list[str] = []
        self._least = least

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        if not function.is_view and result.numel() >= self._least:
            self.names.append(function.overloadpacket.__name__)
        return result


def test_crops_and_mirrors_take_two_kernels() -> None:
    images = torch.zeros(64, 16, 16, 3, dtype=torch.uint8).permute(0, 3, 1, 2)
    augmentation = Augmentation(shift=2, flip=True)
    with PixelOperators(64 * 16 * 16) as operators:
        augmentation.apply(images, torch.Generator())
    assert operators.names == ["add", "index_select"]
