"""Numbers, durations and labels as people read them."""

import re

import pytest

from results import wording


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("accuracy", 0.97222, "97.22"),
        ("flops", 4_113_000_000, "4.113 G"),
        ("params", 12, "12"),
        ("latency_ms", 3.14159, "3.142"),
        ("latency_ms", None, "\N{EN DASH}"),
        ("energy", 0.0, "0"),
        ("energy", 1.5e9, "1.500e+09"),
    ],
)
def test_numbers_read_well(metric, value, text):
    assert wording.number(metric, value) == text


def test_durations_read_well():
    assert [wording.duration(s) for s in (3.2, 252, 7500)] == [
        "3 s",
        "4 min 12 s",
        "2 h 5 min",
    ]


def test_labels_carry_units():
    labels = [
        wording.label(name) for name in ("accuracy", "latency_ms", "flops", "energy")
    ]
    assert labels == ["accuracy (%)", "latency (ms)", "FLOPs", "energy"]
    assert not re.search(r"\s{2}", wording.with_unit("energy", 1.0))
