"""Published networks are found by pattern, as a shell would."""

from __future__ import annotations

import pytest

from search_spaces import REFERENCES, list_networks


@pytest.mark.parametrize(
    ("pattern", "count"),
    [("*", 32), ("*resnest*", 13), ("regnety_*", 12), ("*_L1", 1), ("resnet", 0)],
)
def test_patterns(pattern: str, count: int) -> None:
    found = list_networks(pattern)
    assert len(found) == count
    assert found == [name for name in REFERENCES if name in found], (
        "in the papers' order"
    )


def test_several_patterns_and_what_to_leave_out() -> None:
    assert len(list_networks(["*resnest*", "regnety_*", "resnest50"])) == 25
    assert list_networks("ResNeSt50*", exclude_filters=["*fast*"]) == ["resnest50"]
    assert list_networks(exclude_filters="*") == list_networks([]) == []


def test_those_with_weights() -> None:
    found = list_networks(pretrained=True)
    assert found == list_networks("resnest*")
    assert list_networks("regnety_*", pretrained=True) == []
