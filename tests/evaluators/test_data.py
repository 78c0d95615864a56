from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from sklearn.datasets import load_digits

from evaluators import Split, load, load_test
from search_spaces import Task


def raw(split: Split) -> set[bytes]:
    """Images told apart by their order of grey values, which normalisation keeps."""
    return {image.argsort(stable=True).numpy().tobytes() for image in split.images.flatten(1)}


def test_digits_counts_and_task() -> None:
    dataset = load("digits")
    assert dataset.train.images.shape == (1078, 1, 8, 8)
    assert dataset.validation.images.shape == (359, 1, 8, 8)
    assert load_test("digits").images.shape == (360, 1, 8, 8)
    assert dataset.train.images.dtype == torch.float32
    assert dataset.train.labels.dtype == torch.int64
    assert dataset.task == Task(num_classes=10, resolution=8, channels=1, small_images=True)


def test_the_three_parts_are_all_images_once() -> None:
    dataset, test = load("digits", seed=3), load_test("digits", seed=3)
    parts = [raw(part) for part in (dataset.train, dataset.validation, test)]
    everything = raw(Split(torch.from_numpy(load_digits().images).unsqueeze(1), torch.empty(0)))
    assert set.union(*parts) == everything
    assert sum(map(len, parts)) == len(everything)


def test_test_images_are_the_same_for_every_seed_and_share() -> None:
    expected = load_test("digits")
    for settings in ({"seed": 1}, {"validation": 0.4}):
        other = load_test("digits", **settings)
        assert torch.equal(other.labels, expected.labels)
        assert raw(other) == raw(expected)


def test_seed_moves_the_border() -> None:
    first, second = load("digits", seed=0), load("digits", seed=1)
    assert raw(first.validation) != raw(second.validation)
    assert load("digits", seed=0) is first


def test_parts_are_stratified() -> None:
    dataset = load("digits")
    shares = [part.labels.bincount() / len(part.labels) for part in (dataset.train, dataset.validation)]
    assert torch.allclose(*shares, atol=0.005)


def test_normalised_with_train_alone() -> None:
    train = load("digits").train.images
    assert abs(train.mean().item()) < 1e-5
    assert train.std().item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("share", [0.0, 0.9, -1.0])
def test_impossible_share(share: float) -> None:
    with pytest.raises(ValueError, match="there are 1437 without test"):
        load("digits", validation=share)


def test_unknown_name_tells_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown data 'mnist'; built in: digits"):
        load("mnist")


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
    name = module(f"Source({split.format(n=40)}, {split.format(n=10)}, small_images=False)")
    dataset = load(name)
    assert dataset.task == Task(num_classes=4, resolution=12, channels=3, small_images=False)
    assert [len(part.labels) for part in (dataset.train, dataset.validation)] == [30, 10]
    assert len(load_test(name).labels) == 10


def test_own_source_of_the_wrong_type(module: Callable[[str], str]) -> None:
    with pytest.raises(ValueError, match=r"must return an evaluators.Source, not int"):
        load(module("3"))


def test_own_source_with_oblong_images(module: Callable[[str], str]) -> None:
    split = "Split(torch.rand(8, 3, 4, 5), torch.arange(8) % 2)"
    with pytest.raises(ValueError, match=r"square images \(N, C, H, W\), not \(8, 3, 4, 5\)"):
        load(module(f"Source({split}, {split}, True)"))


@pytest.mark.parametrize("name", ["no_such_module:source", "math:no_such_function"])
def test_own_source_that_is_not_there(name: str) -> None:
    with pytest.raises(ValueError, match=f"data '{name}' cannot be imported"):
        load(name)
