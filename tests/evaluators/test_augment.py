import pytest
import torch

from evaluators.augment import random_flip, random_shift


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_shift_moves_and_repeats_the_edge() -> None:
    columns = torch.arange(5.0)
    image = (10 * columns[:, None] + columns).expand(2, 5, 5)
    shifted = random_shift(image.expand(200, 2, 5, 5), 1, generator())
    seen = set()
    for one in shifted[:, 0]:
        centre = int(one[2, 2])
        down, right = centre // 10 - 2, centre % 10 - 2
        expected = image[0][(columns.long() + down).clamp(0, 4)][:, (columns.long() + right).clamp(0, 4)]
        assert torch.equal(one, expected)
        seen.add((down, right))
    assert len(seen) == 9
    assert torch.equal(shifted[:, 0], shifted[:, 1])


def test_no_shift_returns_the_images() -> None:
    images = torch.rand(3, 1, 4, 4)
    assert random_shift(images, 0, generator()) is images


def test_shift_leaves_its_input_alone() -> None:
    images = torch.rand(3, 2, 4, 4)
    before = images.clone()
    random_shift(images, 2, generator())
    assert torch.equal(images, before)


def test_flip_mirrors_about_half_of_the_images_whole() -> None:
    images = torch.rand(200, 2, 3, 4)
    flipped = random_flip(images, generator())
    changed = [not torch.equal(a, b) for a, b in zip(images, flipped, strict=True)]
    assert 60 < sum(changed) < 140
    for image, result, mirrored in zip(images, flipped, changed, strict=True):
        assert torch.equal(result, image.flip(2) if mirrored else image)


@pytest.mark.parametrize("augment", [lambda x, g: random_shift(x, 1, g), random_flip])
def test_the_generator_decides(augment) -> None:  # type: ignore[no-untyped-def]
    images = torch.rand(16, 1, 8, 8)
    assert torch.equal(augment(images, generator()), augment(images, generator()))
