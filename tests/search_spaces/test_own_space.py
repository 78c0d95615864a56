"""The documented example, run as its reader would: copied from the page into a file of one's own."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from search_spaces import SearchSpace, get_space
from search_spaces.testing import SpaceContract

PAGE = Path(__file__).parents[2] / "docs/own_space.md"


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    blocks = re.findall(
        r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
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


class TestOwnSpace(SpaceContract):
    """What holds for the built-in spaces."""

    @pytest.fixture
    def space(self, examples: list[str]) -> SearchSpace:
        return get_space("my_file:MySpace")

    @pytest.fixture
    def small(self, space: SearchSpace) -> SearchSpace:
        return replace(space, width=(8, 16), depth=(1, 2))  # type: ignore[type-var]


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
    assert (
        seen
        == {"width": set(range(8, 65, 8)), "stages": {2, 3, 4}, "radix": {0, 1, 2, 4}}
        | depths
    )
