from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from search_spaces import ResNeSt, Task, arch_from_dict, get_space


def test_knobs_that_make_no_difference_make_no_new_architecture() -> None:
    assert ResNeSt(avd=False, avd_first=True) == ResNeSt(avd=False)
    assert ResNeSt(widths=(8, 8, 8, 8), bottleneck_width=8, radix=4).id == (
        ResNeSt(widths=(8, 8, 8, 8), bottleneck_width=32, radix=4).id
    ), "both round up to 4 channels a group"
    assert ResNeSt(radix=1).id != ResNeSt(radix=2).id


def test_overrides_narrow_the_knobs() -> None:
    space = get_space("resnest", radix=2, width1=[8, 16], depth3=[1])
    rng = np.random.default_rng(0)
    drawn = [space.sample(rng) for _ in range(50)]
    assert {arch.radix for arch in drawn} == {2}
    assert {arch.widths[0] for arch in drawn} == {8, 16}
    assert {arch.depths[2] for arch in drawn} == {1}


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"radix": 3}, "radix must be 0, 1, 2 or 4, got 3"),
        ({"radix": [1, "2"]}, "radix must be 0, 1, 2 or 4, got '2'"),
        ({"radix": []}, "radix has no choices"),
        ({"radixes": 2}, "no knob 'radixes'; did you mean radix?"),
        ({"width1": 12}, "width1 must be 8 to 2048 in steps of 8, got 12"),
        ({"avd": 1}, "avd must be false or true, got 1"),
    ],
)
def test_a_wrong_knob_is_named(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        get_space("resnest", **knobs)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"radix": 3}, "radix must be 0, 1, 2 or 4, got 3"),
        (
            {"radix": 10**5000},
            "radix must be 0, 1, 2 or 4, got a value of type int that cannot be printed",
        ),
        ({"depths": [1] * 10**6}, "depths must have 4 entries, got 1000000"),
        ({"radix": "2"}, "radix must be of type int, got '2'"),
        ({"radix": True}, "radix must be of type int, got True"),
        ({"depths": [3, 4, 6]}, "depths must have 4 entries"),
        ({"depths": [3, 4, 6, 0]}, r"depths \(stage 4\) must be 1 to 100, got 0"),
        ({"depths": [3, 4, 6, 1.5]}, "depths must be a list of int"),
        ({"depths": 3}, "depths must be a list of int"),
        ({"cardinalty": 2}, "no field 'cardinalty'; did you mean cardinality"),
        (
            {"space": "resnet"},
            "unknown space 'resnet'; did you mean resnest",
        ),
        (
            {"space": "no_module:Space"},
            "cannot be imported: ModuleNotFoundError: No module named 'no_module'",
        ),
        ({"space": "json:JSONDecoder"}, "not a subclass of search_spaces.SearchSpace"),
        ({"space": None}, "needs a field 'space'"),
    ],
)
def test_a_wrong_field_of_a_stored_architecture_is_named(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        arch_from_dict(ResNeSt().to_dict() | changes)


@pytest.mark.parametrize("field", ["num_classes", "resolution", "channels"])
def test_a_wrong_task_is_named(field: str) -> None:
    with pytest.raises(
        ValueError, match=rf"Task.{field} must be a positive int, got 0"
    ):
        Task(**{field: 0})
