from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from evaluators import Augmentation


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def some_images(count: int = 64, side: int = 16, channels: int = 3) -> Tensor:
    return torch.randint(
        256, (count, channels, side, side), dtype=torch.uint8, generator=generator(7)
    )


def test_shift_moves_and_repeats_the_edge() -> None:
    places = torch.arange(5)
    image = 10 * places[:, None] + places
    batch = image.to(torch.uint8).expand(200, 2, 5, 5)
    shifted = Augmentation(shift=1).apply(batch, generator())
    seen = set()
    for one in shifted[:, 0].long():
        centre = int(one[2, 2])
        down, right = centre // 10 - 2, centre % 10 - 2
        assert torch.equal(
            one, image[(places + down).clamp(0, 4)][:, (places + right).clamp(0, 4)]
        )
        seen.add((down, right))
    assert len(seen) == 9
    assert torch.equal(shifted[:, 0], shifted[:, 1])


def test_flip_mirrors_about_half_of_the_images_whole() -> None:
    images = some_images(200)
    flipped = Augmentation(flip=True).apply(images, generator())
    changed = [not torch.equal(a, b) for a, b in zip(images, flipped, strict=True)]
    assert 60 < sum(changed) < 140
    for image, result, mirrored in zip(images, flipped, changed, strict=True):
        assert torch.equal(result, image.flip(2) if mirrored else image)


def test_a_resized_crop_shows_a_part_of_a_gradient_enlarged() -> None:
    column = torch.arange(32.0).expand(256, 1, 32, 32)
    cropped = Augmentation(crop_scale=0.25).apply(column, generator())
    extent = (cropped[..., -1] - cropped[..., 0]).mean((1, 2)) / 31
    # a side is sqrt(area * ratio): areas from 1/4, ratios from 3/4 to 4/3
    assert extent.min() >= (0.25 * 3 / 4) ** 0.5 - 0.03
    assert extent.max() <= 1
    assert extent.std() > 0.1
    assert cropped.min() >= 0
    assert cropped.max() <= 31


def test_a_crop_of_everything_keeps_the_image() -> None:
    augmentation = Augmentation(crop_scale=1.0)
    flat = torch.full((4, 3, 8, 8), 77, dtype=torch.uint8)
    assert torch.equal(augmentation.apply(flat, generator()), flat)


@pytest.mark.parametrize("side", [1, 4, 7])
def test_cutout_blanks_one_square(side: int) -> None:
    erased = Augmentation(cutout=side).erase(torch.ones(300, 2, 16, 16), generator())
    blank = erased == 0
    assert torch.equal(blank[:, 0], blank[:, 1])
    areas = blank[:, 0].sum((1, 2))
    assert areas.max() == side * side
    assert areas.min() >= (side // 2) ** 2  # the centre lies in the image
    rows, columns = blank[:, 0].any(2).sum(1), blank[:, 0].any(1).sum(1)
    assert torch.equal(rows * columns, areas)


def test_erasing_blanks_rectangles_of_the_published_sizes_in_its_share_of_the_images() -> (
    None
):
    blank = (
        Augmentation(erasing=0.3).erase(torch.ones(1000, 1, 40, 40), generator())[:, 0]
        == 0
    )
    areas = blank.sum((1, 2)) / 1600
    hit = areas[areas > 0]
    assert 0.24 < len(hit) / 1000 < 0.36
    assert hit.min() > 0.015
    assert hit.max() < 0.36


def test_mixup_mixes_images_and_targets_in_the_same_proportion() -> None:
    labels = torch.arange(6)
    images = torch.eye(6).view(6, 6, 1, 1)
    mixed, targets = Augmentation(mixup=1.0).mix(images, labels, 6, generator())
    assert torch.allclose(mixed.view(6, 6), targets)
    assert torch.allclose(targets.sum(1), torch.ones(6))
    assert ((targets > 0).sum(1) == 2).all()


def test_rand_augment_changes_images_and_keeps_their_kind() -> None:
    images = some_images()
    augmentation = Augmentation(rand_augment=(2, 15))
    results = [augmentation.apply(images, generator(seed)) for seed in range(4)]
    assert all(
        result.dtype == torch.uint8 and result.shape == images.shape
        for result in results
    )
    assert sum(not torch.equal(result, images) for result in results) >= 3
    grey = augmentation.apply(some_images(channels=1), generator())
    assert grey.shape[1] == 1


EVERYTHING: list[dict[str, Any]] = [
    {"shift": 2},
    {"flip": True},
    {"crop_scale": 0.3},
    {"rand_augment": (1, 9)},
    {"cutout": 5},
    {"erasing": 0.5},
    {"mixup": 0.4},
]


def run(
    augmentation: Augmentation, images: Tensor, seed: int = 0
) -> tuple[Tensor, Tensor]:
    source = generator(seed)
    labels = torch.arange(len(images)) % 5
    moved = augmentation.apply(images, source)
    return augmentation.mix(
        augmentation.erase(moved.float() / 255, source), labels, 5, source
    )


@pytest.mark.parametrize("knob", EVERYTHING, ids=lambda knob: next(iter(knob)))
class TestEvery:
    def test_the_generator_decides_and_nothing_else(self, knob: dict[str, Any]) -> None:
        images, before = some_images(), torch.get_rng_state()
        first, again, other = (
            run(Augmentation(**knob), images, seed) for seed in (1, 1, 2)
        )
        assert all(map(torch.equal, first, again))
        assert not torch.equal(first[0], other[0])
        assert torch.equal(torch.get_rng_state(), before)

    def test_the_input_is_left_alone(self, knob: dict[str, Any]) -> None:
        images = some_images()
        run(Augmentation(**knob), images)
        assert torch.equal(images, some_images())

    def test_channels_last_gives_the_same(self, knob: dict[str, Any]) -> None:
        images = some_images()
        last = images.contiguous(memory_format=torch.channels_last)
        assert torch.allclose(
            run(Augmentation(**knob), images)[0], run(Augmentation(**knob), last)[0]
        )


def test_all_off_returns_what_came_and_draws_nothing() -> None:
    images, source = some_images(), generator()
    labels, before = torch.arange(64), source.get_state()
    off = Augmentation()
    assert off.apply(images, source) is images
    assert off.erase(images, source) is images
    assert off.mix(images, labels, 64, source) == (images, labels)
    assert torch.equal(source.get_state(), before)
