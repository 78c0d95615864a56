"""A recipe of which some settings are searched, together with the network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from evaluators.fields import FieldError, field_types, from_values
from evaluators.training.augment import Augmentation
from evaluators.training.recipe import Recipe, with_settings
from search_spaces.knobs import KnobValue

SEARCHABLE = (
    *("lr", "momentum", "weight_decay", "optimizer", "batch_size", "schedule"),
    *("warmup_epochs", "label_smoothing", "clip_norm", "ema", "zero_gamma"),
    *("stochastic_depth", "drop_block", "drop_block_size"),
    *("augment.shift", "augment.flip", "augment.crop_scale", "augment.cutout"),
    *("augment.erasing", "augment.mixup"),
)
"""All but what decides how much a training sees, what it is measured by, and how it is computed."""


@dataclass(frozen=True, kw_only=True)
class SearchedRecipe(Recipe):
    """A recipe with several ``choices`` of some settings; of each the first, until another is chosen.

    ``choices`` are pairs of a setting, such as ``lr`` or ``augment.shift``, and its values.

    Raises:
        FieldError: naming the setting that has a wrong value, or cannot be searched.
    """

    choices: tuple[tuple[str, tuple[KnobValue, ...]], ...]

    def __post_init__(self) -> None:
        # Rules between fields join one of these with one that is not searched, so each is tried by itself.
        for name, values in self.choices:
            _check_searchable(name)
            for value in values:
                if value is None:
                    problem = "cannot have null among its choices"
                    raise FieldError("Recipe", tuple(name.split(".")), problem)
                with_settings(self, {name: value})


def recipe_of(values: object) -> Recipe:
    """A recipe of plain values, of which some may be lists of what is to be tried.

    Raises:
        FieldError: naming the setting that is wrong, unknown, or cannot be a list.
    """
    if isinstance(values, Recipe) or not isinstance(values, Mapping):
        return from_values(Recipe, values)
    choices = dict(_lists(values))
    # a recipe of first choices: whoever knows nothing of lists can use it
    firsts = {name: listed[0] for name, listed in choices.items()}
    first = _replaced(values, firsts)
    recipe = from_values(Recipe, first)
    several = {name: listed for name, listed in choices.items() if len(listed) > 1}
    if not several:
        return recipe
    plain = {each.name: getattr(recipe, each.name) for each in fields(Recipe)}
    return SearchedRecipe(**plain, choices=tuple(several.items()))


def plain_values(recipe: Recipe) -> dict[str, Any]:
    """Inverse of ``recipe_of``."""
    values = asdict(recipe)
    choices = values.pop("choices", ())
    return _replaced(values, {name: list(listed) for name, listed in choices})


def _lists(values: Mapping[str, Any]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Every setting that is a list of choices, each choice once."""
    augment = values.get("augment")
    inside = augment if isinstance(augment, Mapping) else {}
    nested = {f"augment.{name}": inside[name] for name in inside}
    flat = {**values, **nested}
    known = (*field_types(Recipe), *(f"augment.{n}" for n in field_types(Augmentation)))
    for name, value in flat.items():
        # that one is two numbers, and an unknown name is for others to refuse
        is_value = name == "augment.rand_augment" and not _nested(value)
        if not isinstance(value, list) or is_value or name not in known:
            continue
        _check_searchable(name)
        if not value:
            raise FieldError("Recipe", tuple(name.split(".")), "has no choices")
        # of equal values the first
        different = [each for at, each in enumerate(value) if each not in value[:at]]
        yield name, tuple(different)


def _nested(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(each, list) for each in value)


def _check_searchable(name: str) -> None:
    if name not in SEARCHABLE:
        raise FieldError(
            "Recipe",
            tuple(name.split(".")),
            f"cannot be a list of choices; {', '.join(SEARCHABLE)} can",
        )


def _replaced(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``values`` with others at some names, which may lead inside."""
    changed = dict(values)
    for name, value in changes.items():
        outer, _, inner = name.rpartition(".")
        changed[outer or name] = {**changed[outer], inner: value} if outer else value
    return changed
