"""Published networks are found by pattern, as a shell would."""

from __future__ import annotations

import pytest

from search_spaces import REFERENCES, list_networks


@pytest.mark.parametrize(
    ("pattern", "count"), [("*", 32), ("*resnest*", 13), ("regnety_*", 12), ("*_L1", 0)]
)
def test_patterns(pattern: str, count: int) -> None:
    found = list_networks(pattern)
    assert len(found) == count
    assert found == [name for name in REFERENCES if name in found], (
        "in the papers' order"
    )
