"""Settings are refused in one line that names the field, however they are made."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import pytest

from evaluators import Augmentation, DataSettings, Latency, Recipe
from evaluators.fields import Bounds, FieldError, check, from_values

WRONG: list[tuple[type, dict[str, Any], str]] = [
    (Augmentation, {"flip": "no"}, "flip: must be true or false, got 'no'"),
    (Augmentation, {"shift": -1}, "shift: must be at least 0, got -1"),
    (Augmentation, {"cutout": -2}, "cutout: must be at least 0, got -2"),
    (
        Augmentation,
        {"erasing": 1.1},
        "erasing: must be at least 0 and at most 1, got 1.1",
    ),
    (
        Augmentation,
        {"rand_augment": (0, 9)},
        "rand_augment: must be 1 to 10 operations and a magnitude",
    ),
    (Augmentation, {"shift": 1.5}, "shift: must be a whole number, got 1.5"),
    (
        Augmentation,
        {"crop_scale": 2},
        "crop_scale: must be above 0 and at most 1 or null, got 2",
    ),
    (
        Augmentation,
        {"rand_augment": (1, 30)},
        "rand_augment: must be 1 to 10 operations and a magnitude",
    ),
    (
        Augmentation,
        {"rand_augment": (1, 2, 3)},
        "rand_augment: must be 2 whole numbers or null, got (1, 2, 3)",
    ),
    (Augmentation, {"mixup": float("inf")}, "mixup: must be a finite number, got inf"),
    (Recipe, {"compile": "false"}, "compile: must be true or false, got 'false'"),
    (Recipe, {"compile": 1}, "compile: must be true or false, got 1"),
    (Recipe, {"epochs": "9"}, "epochs: must be a whole number, got '9'"),
    (Recipe, {"epochs": True}, "epochs: must be a whole number, got True"),
    (Recipe, {"epochs": 0}, "epochs: must be at least 1, got 0"),
    (Recipe, {"lr": float("nan")}, "lr: must be a finite number, got nan"),
    (
        Recipe,
        {"schedule": "linear"},
        "schedule: must be cosine or one_cycle, got 'linear'",
    ),
    (Recipe, {"warmup_epochs": 10}, "warmup_epochs: must be at most epochs, 9, got 10"),
    (Recipe, {"clip_norm": 0}, "clip_norm: must be above 0 or null, got 0"),
    (DataSettings, {"name": 3}, "name: must be a text, got 3"),
    (DataSettings, {"root": ""}, "root: must be a folder or a file, got ''"),
    (DataSettings, {"subset": 0}, "subset: must be at least 1 or null, got 0"),
    (
        Latency,
        {"dtype": "int8"},
        "dtype: must be float32 or float16 or bfloat16, got 'int8'",
    ),
    (Latency, {"threads": 0}, "threads: must be at least 1 or null, got 0"),
    (Latency, {"max_load": "busy"}, "max_load: must be a finite number, got 'busy'"),
    (
        Latency,
        {"cuda_graph": True},
        "cuda_graph: must be false on the device cpu, got True",
    ),
]


def from_yaml(kind: type, values: Mapping[str, Any]) -> object:
    plain = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
    }
    return from_values(kind, plain)


@pytest.mark.parametrize(
    "make", [lambda kind, values: kind(**values), from_yaml], ids=["Python", "YAML"]
)
@pytest.mark.parametrize(("kind", "values", "message"), WRONG)
def test_a_wrong_field_is_named_in_one_line(
    kind: type,
    values: dict[str, Any],
    message: str,
    make: Callable[[type, Mapping[str, Any]], object],
) -> None:
    with pytest.raises(
        ValueError, match=re.escape(f"{kind.__name__}.{message}")
    ) as caught:
        make(kind, values)
    assert "\n" not in str(caught.value)


def test_nested_settings_are_named_with_their_path() -> None:
    with pytest.raises(
        ValueError, match=r"^Recipe\.augment\.flip: must be true or false, got 'no'$"
    ):
        from_values(Recipe, {"augment": {"flip": "no"}})
    with pytest.raises(
        ValueError,
        match=r"^Recipe\.augment: must be settings of Augmentation, got 'flip'$",
    ):
        Recipe(augment="flip")  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match=r"^Recipe\.augment\.flop: unknown key; did you mean flip\?$"
    ):
        from_values(Recipe, {"augment": {"flop": True}})


def test_plain_values_make_the_same_settings() -> None:
    plain = {
        "epochs": 3,
        "lr": 1,
        "clip_norm": None,
        "augment": {"rand_augment": [2, 9], "flip": True},
    }
    made = Recipe(
        epochs=3,
        lr=1,
        clip_norm=None,
        augment=Augmentation(rand_augment=(2, 9), flip=True),
    )
    assert from_values(Recipe, plain) == made
    assert from_values(Recipe, made) is made


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0, 1.5, -0.0, -1, 2, 10**400])
def test_bounds_are_those_of_the_four_comparisons(value: float) -> None:
    for name, holds in {
        "ge": value >= 1,
        "gt": value > 1,
        "le": value <= 1,
        "lt": value < 1,
    }.items():
        assert Bounds(**{name: 1}).holds(value) is holds


def test_an_error_survives_the_way_from_a_worker() -> None:
    error = FieldError("Recipe", ("augment", "flip"), "must be true or false")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (str(copy), copy.path) == (str(error), error.path)


def test_a_dataclass_of_ones_own_takes_part() -> None:
    @dataclass(frozen=True)
    class Own:
        share: Annotated[float, Bounds(ge=0, le=1)] = 0.5

    check(Own(1))
    with pytest.raises(
        FieldError, match=r"Own\.share: must be at least 0 and at most 1, got 2"
    ):
        check(Own(2))
