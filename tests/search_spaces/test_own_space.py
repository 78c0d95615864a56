"""The documented example, run as its reader would: copied from the page into a file of one's own."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import optuna
import pytest
import torch

from search_spaces import SearchSpace, Task, arch_from_dict, build, complexity, get_space

PAGE = Path(__file__).parents[2] / "docs/own_space.md"
TASK = Task(num_classes=10, resolution=32, small_images=True)


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "my_file.py").write_text(blocks[0])
    monkeypatch.syspath_prepend(tmp_path)
    yield blocks
    sys.modules.pop("my_file", None)


@pytest.fixture
def space(examples: list[str]) -> SearchSpace:
    return get_space("my_file:MySpace")


def test_the_page_runs(examples: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(examples[1], str(PAGE), "exec"), {})  # noqa: S102
    assert len(capsys.readouterr().out.splitlines()) == 10


def test_an_own_space_does_what_the_built_in_ones_do(space: SearchSpace) -> None:
    rng = np.random.default_rng(0)
    images = torch.zeros(2, 3, 32, 32)
    for _ in range(20):
        arch = space.sample(rng)
        assert space.suggest(optuna.trial.FixedTrial(space.params(arch))) == arch  # type: ignore[arg-type]
        assert arch_from_dict(arch.to_dict()) == arch
        assert arch_from_dict(arch.to_dict()).id == arch.id
        network = build(arch, TASK)
        assert network(images).shape == (2, 10)
        assert complexity(arch, TASK).params == sum(parameter.numel() for parameter in network.parameters())


def test_mutations_reach_every_knob_and_stay_inside(space: SearchSpace) -> None:
    rng = np.random.default_rng(0)
    arch = space.sample(rng)
    seen: dict[str, set[object]] = {}
    for _ in range(1500):
        other = space.mutate(arch, rng)
        assert other.id != arch.id
        arch = other
        for name, value in space.params(arch).items():
            seen.setdefault(name, set()).add(value)
    depths = {f"depth{stage}": set(range(1, 7)) for stage in range(4)}
    assert seen == {"width": set(range(8, 65, 8)), "stages": {2, 3, 4}, "radix": {0, 1, 2, 4}} | depths


def test_limits_hold_in_an_own_space(space: SearchSpace) -> None:
    arch = space.sample(np.random.default_rng(0), {"macs": (18e6, 24e6), "params": 3e5}, TASK)
    cost = complexity(arch, TASK)
    assert 18e6 <= cost.macs <= 24e6
    assert cost.params <= 3e5
    with pytest.raises(ValueError, match="no architecture of space my_file:MySpace with macs at most 1M"):
        space.sample(np.random.default_rng(0), {"macs": 1e6}, Task())
