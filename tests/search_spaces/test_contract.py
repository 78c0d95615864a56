"""The contract that every space inherits, held by the three of the package."""

from __future__ import annotations

import pytest

from search_spaces import SearchSpace, get_space
from search_spaces.testing import SpaceContract


class TestResNeSt(SpaceContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        return get_space("resnest")

    @pytest.fixture
    def small(self) -> SearchSpace:
        depths = {f"depth{stage}": [1, 2] for stage in (1, 2, 3, 4)}
        widths = {f"width{stage}": [8, 16] for stage in (1, 2, 3, 4)}
        return get_space("resnest", stem_width=[8, 16], **depths, **widths)


class TestRegNetY(SpaceContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        return get_space("regnety")

    @pytest.fixture
    def small(self) -> SearchSpace:
        return get_space("regnety", depth=range(5, 11), w0=range(8, 41, 8), group_width=range(8, 33, 8))


class TestFBNetV2(SpaceContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        return get_space("fbnetv2")

    @pytest.fixture
    def small(self) -> SearchSpace:
        rows = {f"rows{stage}": [1, 2] for stage in (2, 3, 4, 5)}
        return get_space("fbnetv2", resolution=[32, 64], repeat=[1, 2], features=[64], **rows)
