"""Recipes with choices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from evaluators import Augmentation, ProxyTraining, Recipe, proxy_train
from evaluators.training.recipe import with_settings
from nas.config.searched_recipe import SearchedRecipe, plain_values, recipe_of
from search_spaces import get_space
from search_spaces.joint import tuned


def test_lists_are_choices_and_the_first_stands_until_one_is_chosen() -> None:
    given = {
        "epochs": 2,
        "lr": [0.2, 0.4, 0.2],
        "augment": {"shift": [1, 2], "flip": True},
    }
    recipe = recipe_of(given)
    assert isinstance(recipe, SearchedRecipe)
    assert recipe.choices == (("lr", (0.2, 0.4)), ("augment.shift", (1, 2)))
    plain = Recipe(epochs=2, lr=0.2, augment=Augmentation(shift=1, flip=True))
    assert with_settings(recipe, {}) == plain
    chosen = with_settings(recipe, {"lr": 0.4, "augment.shift": 2})
    assert chosen == Recipe(epochs=2, lr=0.4, augment=Augmentation(shift=2, flip=True))
    assert type(chosen) is Recipe
    assert recipe_of(plain_values(recipe)) == recipe


def test_one_choice_is_none_and_two_numbers_of_one_setting_are_no_choices() -> None:
    assert recipe_of({"lr": [0.2]}) == Recipe(lr=0.2)
    recipe = recipe_of({"augment": {"rand_augment": [2, 9]}})
    assert recipe == Recipe(augment=Augmentation(rand_augment=(2, 9)))
    assert recipe_of(plain_values(recipe)) == recipe


BAD: list[tuple[Any, str]] = [
    ({"epochs": [1, 2]}, r"Recipe\.epochs: cannot be a list of choices; lr, .* can"),
    ({"mirrored": [True, False]}, r"mirrored: cannot be a list"),
    ({"precision": ["auto"]}, r"precision: cannot be a list"),
    ({"augment": {"rand_augment": [[1, 2], [2, 9]]}}, r"augment\.rand_augment: cannot"),
    ({"augment": [{"shift": 1}]}, r"augment: cannot be a list"),
    ({"clip_norm": [None, 1.0]}, r"clip_norm: cannot have null among"),
    ({"lr": []}, r"lr: has no choices"),
    ({"lr": [0.1, -1]}, r"Recipe\.lr: must be .*, got -1"),
    ({"lr": [0.1, "much"]}, r"Recipe\.lr: must be .*, got 'much'"),
    ({"augment": {"shift": [0, -1]}}, r"Recipe\.augment\.shift: must be .*, got -1"),
    ({"warmup_epochs": [1, 20]}, r"warmup_epochs: must be at most epochs, 9, got 20"),
    ({"learning_rate": [0.1, 0.2]}, r"learning_rate: unknown key"),
]


@pytest.mark.parametrize(("values", "message"), BAD)
def test_what_cannot_be_a_choice_is_refused_by_name(values: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        recipe_of(values)


def test_a_network_is_trained_as_was_chosen_for_it() -> None:
    small = {f"width{stage}": 8 for stage in (1, 2, 3, 4)}
    shallow = {f"depth{stage}": 1 for stage in (1, 2, 3, 4)}
    space = get_space("resnest", **small, **shallow, stem_width=8, radix=1)
    network = space.sample(np.random.default_rng(0))
    recipe = recipe_of({"epochs": 1, "images_per_epoch": 192, "lr": [0.1, 0.4]})
    training = ProxyTraining("digits", recipe)
    [told] = training.evaluate(tuned(network, {"lr": 0.4}))
    plain = Recipe(epochs=1, images_per_epoch=192, lr=0.4)
    [alone] = proxy_train(network, "digits", plain)
    for name in ("accuracy", "train_loss", "learning_rate"):
        assert told[name] == alone[name]
    [first] = training.evaluate(tuned(network, {"lr": 0.1}))
    assert first["train_loss"] != told["train_loss"]
