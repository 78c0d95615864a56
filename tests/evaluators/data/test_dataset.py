"""Data held in memory, through ``load`` and ``load_test``: digits and the user's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.datasets import load_digits

from evaluators import DataSettings, Preprocess, Split, load, load_test
from search_spaces import Task


def raw(split: Split) -> set[bytes]:
    return {image.numpy().tobytes() for image in split.images.contiguous().flatten(1)}


# ---- digits


def test_digits_counts_and_task() -> None:
    dataset = load("digits")
    assert dataset.train.images.shape == (1078, 1, 8, 8)
    assert dataset.validation.images.shape == (359, 1, 8, 8)
    assert load_test("digits").images.shape == (360, 1, 8, 8)
    assert dataset.train.images.dtype == torch.uint8
    assert dataset.train.labels.dtype == torch.int64
    assert dataset.task == Task(
        num_classes=10, resolution=8, channels=1, small_images=True
    )


def test_the_three_parts_are_all_digits_once() -> None:
    dataset, test = (
        load(DataSettings(split_seed=3)),
        load_test(DataSettings(split_seed=3)),
    )
    parts = [raw(part) for part in (dataset.train, dataset.validation, test)]
    images = torch.from_numpy(load_digits().images * 15).to(torch.uint8).unsqueeze(1)
    assert set.union(*parts) == raw(Split(images, torch.empty(0)))
    assert sum(map(len, parts)) == len(images)


def test_test_images_are_the_same_for_every_seed_share_and_subset() -> None:
    expected = load_test("digits")
    for settings in ({"split_seed": 1}, {"validation": 0.4}, {"subset": 100}):
        other = load_test(DataSettings(**settings))
        assert torch.equal(other.labels, expected.labels)
        assert raw(other) == raw(expected)


def test_seed_moves_the_border() -> None:
    first, second = load("digits"), load(DataSettings(split_seed=1))
    assert raw(first.validation) != raw(second.validation)
    assert load("digits") is first


@pytest.mark.parametrize(
    "settings", [DataSettings(), DataSettings(subset=700, split_seed=4)]
)
def test_parts_are_stratified(settings: DataSettings) -> None:
    dataset = load(settings)
    expected = torch.from_numpy(load_digits().target).bincount() / 1797
    for part in (dataset.train, dataset.validation):
        shares = part.labels.bincount() / len(part.labels)
        assert torch.allclose(shares, expected, atol=0.01)


def test_subset_counts_train_and_validation_together() -> None:
    dataset = load(DataSettings(subset=200, validation=0.1))
    assert [len(part.labels) for part in (dataset.train, dataset.validation)] == [
        180,
        20,
    ]


def test_normalised_with_train_alone() -> None:
    dataset = load("digits")
    images = dataset.normalise(dataset.train.images)
    assert images.dtype == torch.float32
    assert abs(images.mean().item()) < 1e-5
    assert images.std().item() == pytest.approx(1, abs=1e-3)


def test_take_gathers_what_was_asked_for() -> None:
    train, indices = load("digits").train, torch.tensor([5, 0, 5, 1077])
    batch = train.take(indices, torch.device("cpu"))
    assert torch.equal(batch.images, train.images[indices])
    assert torch.equal(batch.labels, train.labels[indices])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"validation": 0.999},
            "data.validation: 0.999 is 1436 of 1437 images; at least 1 is needed, and at",
        ),
        ({"validation": 0.0001}, "data.validation: 0.0001 is 0 of 1437 images"),
        (
            {"subset": 19},
            "data.subset: 19 must be from 20, two images a class, to 1437",
        ),
        ({"subset": 1438}, "data.subset: 1438 must be from 20"),
        ({"root": "here"}, "data.root: digits takes none"),
        ({"resolution": 16}, "data.resolution: digits takes none"),
        ({"download": True}, "data.download: digits takes none"),
        ({"name": "mnist"}, "unknown data 'mnist'; there are "),
        (
            {"name": "cifar10"},
            "data.root: cifar10 needs the folder where its images are, or download: true",
        ),
        (
            {"name": "imagefolder", "download": True},
            "data.download: only cifar10 and cifar100 can be fetched",
        ),
        (
            {"name": "imagefolder", "root": "/no/such/folder"},
            "data.root: /no/such/folder does not exist",
        ),
    ],
)
def test_impossible_settings(settings: dict[str, Any], message: str) -> None:
    assert_refused(message, **settings)


@pytest.mark.parametrize(
    "wrong",
    [
        {"root": ""},
        {"validation": 1.0},
        {"split_seed": -1},
        {"subset": 0},
        {"resolution": 0},
        {"max_corrupt": 1.0},
    ],
)
def test_a_wrong_setting_is_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(
        ValueError, match=rf"^DataSettings\.{next(iter(wrong))}: must .*, got "
    ):
        DataSettings(**wrong)


def assert_refused(
    message: str, door: Callable[..., object] = load, **settings: Any
) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        door(DataSettings(**settings))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


# ---- the user's own


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Write a user's module that returns ``expression`` from ``source``; its name for ``load``."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(expression: str) -> str:
        name = f"data_{abs(hash(expression))}"
        code = f"import torch\nfrom evaluators import Source, Split\ndef source():\n    return {expression}\n"
        (tmp_path / f"{name}.py").write_text(code)
        return f"{name}:source"

    return write


def test_own_source(module: Callable[[str], str]) -> None:
    split = "Split(torch.rand({n}, 3, 12, 12), torch.arange({n}) % 4)"
    name = module(
        f"Source({split.format(n=40)}, {split.format(n=10)}, small_images=False)"
    )
    dataset = load(name)
    assert dataset.task == Task(
        num_classes=4, resolution=12, channels=3, small_images=False
    )
    assert [len(part.labels) for part in (dataset.train, dataset.validation)] == [
        30,
        10,
    ]
    assert dataset.train.images.dtype == torch.float32
    assert dataset.normalise(dataset.train.images).std().item() == pytest.approx(
        1, abs=1e-2
    )
    assert len(load_test(name).labels) == 10


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (
            "torch.rand(8, 3, 4, 5)",
            "torch.arange(8) % 2",
            "square images (N, C, H, W), not (8, 3, 4, 5)",
        ),
        (
            "torch.rand(8, 3, 4, 4)",
            "torch.arange(7) % 2",
            "must have 8 int64 labels, not (7,) torch.int64",
        ),
        (
            "torch.rand(8, 3, 4, 4)",
            "torch.ones(8)",
            "must have 8 int64 labels, not (8,) torch.float32",
        ),
        (
            "torch.rand(8, 3, 4, 4)",
            "torch.arange(8) % 2 - 1",
            "has label -1; labels count from 0",
        ),
        (
            "torch.rand(8, 3, 4, 4)",
            "torch.arange(8) % 2 * 2",
            "has 0 images of class 1; 2 are the least",
        ),
        (
            "torch.full((8, 3, 4, 4), torch.nan)",
            "torch.arange(8) % 2",
            "has images with NaN or infinity",
        ),
        ("torch.rand(0, 3, 4, 4)", "torch.arange(0)", "has no images"),
    ],
)
def test_own_source_that_cannot_be_used(
    module: Callable[[str], str], images: str, labels: str, message: str
) -> None:
    split = f"Split({images}, {labels})"
    assert_refused(message, name=module(f"Source({split}, {split}, True)"))


@pytest.mark.parametrize(
    ("test", "message"),
    [
        (
            "Split(torch.rand(8, 3, 6, 6), torch.arange(8) % 2)",
            "has images (3, 4, 4) to train with and (3, 6, 6)",
        ),
        (
            "Split(torch.rand(8, 1, 4, 4), torch.arange(8) % 2)",
            "has images (3, 4, 4) to train with and (1, 4, 4)",
        ),
        (
            "Split(torch.zeros(8, 3, 4, 4).byte(), torch.arange(8) % 2)",
            "has type torch.float32 to train with",
        ),
        (
            "Split(torch.rand(8, 3, 4, 4), torch.arange(8) % 3)",
            "has test label 2; those to train with end at 1",
        ),
    ],
)
def test_own_test_part_that_is_not_like_the_other(
    module: Callable[[str], str], test: str, message: str
) -> None:
    split = "Split(torch.rand(8, 3, 4, 4), torch.arange(8) % 2)"
    assert_refused(message, name=module(f"Source({split}, {test}, True)"))


def test_own_source_says_what_white_is(module: Callable[[str], str]) -> None:
    """Else ``predict`` would be wrong by 255, or nobody could tell."""
    split = "Split(torch.rand(40, 3, 4, 4, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 2)"
    told = load(module(f"Source({split}, {split}, True, white=1.0)"))
    preprocess = Preprocess.of_dataset(told)
    assert preprocess.mean == pytest.approx((0.5,) * 3, abs=0.05)
    assert preprocess.std == pytest.approx((0.29,) * 3, abs=0.02)
    with pytest.raises(ValueError, match="floats of unknown scale, so no picture file"):
        Preprocess.of_dataset(load(module(f"Source({split}, {split}, True)")))
    four = split.replace("40, 3", "40, 4")
    with pytest.raises(
        ValueError,
        match="the images have 4 channels; a model folder is for pictures of 1 or 3",
    ):
        Preprocess.of_dataset(load(module(f"Source({four}, {four}, True, white=1.0)")))


def test_own_source_of_the_wrong_type(module: Callable[[str], str]) -> None:
    assert_refused("must return an evaluators.Source, not int", name=module("3"))


@pytest.mark.parametrize("name", ["no_such_module:source", "math:no_such_function"])
def test_own_source_that_is_not_there(name: str) -> None:
    assert_refused(f"data '{name}' cannot be imported", name=name)
