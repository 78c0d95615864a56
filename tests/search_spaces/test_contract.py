"""The contract that every space inherits, held by the three of the package."""

from __future__ import annotations

import pytest

from search_spaces import SearchSpace, get_space, union
from search_spaces.testing import SpaceContract


class TestResNeSt(SpaceContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        return get_space("resnest")

    @staticmethod
    def small_space() -> SearchSpace:
        depths = {f"depth{stage}": [1, 2] for stage in (1, 2, 3, 4)}
        widths = {f"width{stage}": [8, 16] for stage in (1, 2, 3, 4)}
        return get_space("resnest", stem_width=[8, 16], **depths, **widths)

    @pytest.fixture
    def small(self) -> SearchSpace:
        return self.small_space()


class TestRegNetY(SpaceContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        return get_space("regnety")

    @staticmethod
    def small_space() -> SearchSpace:
        return get_space(
            "regnety",
            depth=range(5, 11),
            w0=range(8, 41, 8),
            group_width=range(8, 33, 8),
        )

    @pytest.fixture
    def small(self) -> SearchSpace:
        return self.small_space()


class TestFBNetV2(SpaceContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        return get_space("fbnetv2")

    @staticmethod
    def small_space() -> SearchSpace:
        rows = {f"rows{stage}": [1, 2] for stage in (2, 3, 4, 5)}
        return get_space(
            "fbnetv2", resolution=[32, 64], repeat=[1, 2], features=[64], **rows
        )

    @pytest.fixture
    def small(self) -> SearchSpace:
        return self.small_space()


class TestUnion(SpaceContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        return get_space(
            ["resnest", {"name": "regnety", "attention": ["se", "split"]}, "fbnetv2"]
        )

    @pytest.fixture
    def small(self) -> SearchSpace:
        return union(
            TestResNeSt.small_space(),
            TestRegNetY.small_space(),
            TestFBNetV2.small_space(),
        )
