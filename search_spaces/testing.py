"""What every search space must do, as tests to inherit: give one fixture, get a dozen tests.

::

    class TestMySpace(SpaceContract):
        @pytest.fixture
        def space(self) -> SearchSpace:
            return MySpace()

Needs pytest, fvcore and optuna; nothing else in the package imports this module.
"""
# ruff: noqa: S101 - these are tests

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import FrozenInstanceError, fields
from itertools import combinations, islice
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn

from search_spaces.arch import Arch, canonical
from search_spaces.cost import OPERATORS
from search_spaces.counting import (
    count_activations,
    count_saved_bytes,
    fvcore_operators,
    random_images,
    unsettled,
)
from search_spaces.folding import fold
from search_spaces.grid import Grid
from search_spaces.joint import arch_from_dict
from search_spaces.knobs import KnobValue, ValueT
from search_spaces.network import build, complexity
from search_spaces.space import SearchSpace
from search_spaces.task import Task

TASKS = (
    Task(num_classes=10, resolution=33),
    Task(num_classes=7, resolution=64, channels=1),
    Task(num_classes=2, resolution=47, channels=5),
    Task(num_classes=10, resolution=32, small_images=True),
    Task(num_classes=3, resolution=9, channels=1, small_images=True),
)
"""Odd and even sizes, gray and many-channel images, with and without a downsampling stem."""


class Replay:
    """A trial that answers with given values; a value that is not among the choices is an error."""

    def __init__(self, params: Mapping[str, KnobValue]) -> None:
        self.params = params

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        choices = range(low, high + 1, step)
        return int(self._answer(name, choices))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None
    ) -> float:
        if step is None:
            return min(max(float(self.params[name]), low), high)
        return float(self._answer(name, Grid(low, high, step)))

    def suggest_categorical(self, name: str, choices: Sequence[ValueT]) -> ValueT:
        return self._answer(name, choices)

    def _answer(self, name: str, choices: Sequence[ValueT]) -> ValueT:
        value = self.params[name]
        assert value in choices, f"{name} = {value!r} is not among {choices}"
        return cast("ValueT", value)


class SpaceContract:
    """Tests of a space; a subclass overrides the fixture ``space``, and may override ``small``."""

    @pytest.fixture
    def space(self) -> SearchSpace:
        raise NotImplementedError("a contract test gives the fixture 'space'")

    @pytest.fixture
    def small(self, space: SearchSpace) -> SearchSpace:
        """The space narrowed to networks that are quick to build and run."""
        return space

    @pytest.fixture
    def archs(self, space: SearchSpace) -> list[Arch]:
        return draw(space, 50)

    def test_the_same_generator_draws_the_same(self, space: SearchSpace) -> None:
        assert draw(space, 5, seed=1) == draw(space, 5, seed=1)
        assert len(set(draw(space, 50))) > 1

    def test_params_inverts_suggest(
        self, space: SearchSpace, archs: list[Arch]
    ) -> None:
        for arch in archs:
            assert space.suggest(Replay(space.params(arch))) == arch

    def test_every_knob_can_be_narrowed(self, space: SearchSpace) -> None:
        for knob, choices in space.knobs().items():
            for choice in (choices[0], choices[-1]):
                narrow = space.narrowed(knob, (choice,))
                for arch in draw(narrow, 3):
                    assert narrow.suggest(Replay(narrow.params(arch))) == arch

    def test_every_knob_makes_a_difference(self, space: SearchSpace) -> None:
        for knob, choices in space.knobs().items():
            if len(choices) > 1:
                ends = [
                    space.narrowed(knob, (choice,))
                    for choice in (choices[0], choices[-1])
                ]
                first, last = ({arch.id for arch in draw(end, 20)} for end in ends)
                assert first != last, f"knob {knob} changes no network"

    def test_json_round_trips(self, archs: list[Arch]) -> None:
        for arch in archs:
            text = json.dumps(arch.to_dict())
            assert arch_from_dict(json.loads(text)) == arch

    def test_archs_and_spaces_are_values(
        self, space: SearchSpace, archs: list[Arch]
    ) -> None:
        for arch in archs:
            copy = pickle.loads(pickle.dumps(arch))  # noqa: S301 - our own
            assert copy == arch
            assert hash(copy) == hash(arch)
            assert copy.id == arch.id
            with pytest.raises(FrozenInstanceError):
                setattr(arch, fields(arch)[0].name, None)
        assert pickle.loads(pickle.dumps(space)) == space  # noqa: S301 - our own

    def test_archs_share_an_id_exactly_if_they_share_a_description(
        self, archs: list[Arch]
    ) -> None:
        for a, b in combinations(archs, 2):
            assert (a.id == b.id) == (a.describe() == b.describe())
        for arch in archs:
            twin = type(arch).from_dict(arch.to_dict())
            assert canonical(twin.describe()) == canonical(arch.describe())

    def test_a_wrong_field_is_refused_by_name(
        self, space: SearchSpace, archs: list[Arch]
    ) -> None:
        good = archs[0].to_dict()
        wrongs: list[Any] = [None, {}, [{}], float("nan"), [float("inf")]]
        for field in fields(archs[0]):
            for wrong in wrongs:
                with pytest.raises(ValueError, match=field.name):
                    arch_from_dict(good | {field.name: wrong})
        with pytest.raises(ValueError, match="no_such_field"):
            arch_from_dict(good | {"no_such_field": 1})

    @pytest.mark.parametrize(
        "sampler", ["RandomSampler", "TPESampler", "NSGAIISampler"]
    )
    def test_optuna_draws_legal_archs(self, space: SearchSpace, sampler: str) -> None:
        optuna = pytest.importorskip("optuna")
        study = optuna.create_study(
            directions=["minimize", "maximize"],
            sampler=getattr(optuna.samplers, sampler)(seed=0),
        )
        for _ in range(15):
            trial = study.ask()
            arch = space.suggest(trial)
            replay = optuna.trial.FixedTrial(space.params(arch))
            assert space.suggest(replay) == arch
            cost = complexity(arch)
            study.tell(trial, [cost.macs, cost.params])

    @pytest.mark.parametrize("task", TASKS, ids=str)
    def test_cost_is_what_the_built_network_costs(
        self, small: SearchSpace, task: Task
    ) -> None:
        (arch,) = draw(small, 1, seed=task.resolution)
        cost = complexity(arch, task)
        model = build(arch, task)
        measured = {operator: getattr(cost, operator) for operator in OPERATORS}
        assert measured == fvcore_operators(model, task), arch
        assert cost.params == sum(
            parameter.numel() for parameter in model.parameters()
        ), arch
        assert cost.activations == count_activations(model, task), arch
        assert cost.training_bytes == count_saved_bytes(model, task), arch

    @pytest.mark.parametrize("task", TASKS, ids=str)
    def test_networks_train(self, small: SearchSpace, task: Task) -> None:
        torch.manual_seed(0)
        (arch,) = draw(small, 1, seed=task.resolution)
        model = build(arch, task, zero_gamma=False)
        logits = model(random_images(task, 3))
        assert logits.shape == (3, task.num_classes)
        logits.square().sum().backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, f"{name} takes no part: {arch}"
            assert parameter.grad.isfinite().all(), (
                f"{name} has no finite gradient: {arch}"
            )

    def test_norms_fold_away(self, small: SearchSpace) -> None:
        torch.manual_seed(0)
        task = TASKS[0]
        for arch in draw(small, 3):
            network = build(arch, task, zero_gamma=False).double()
            model = unsettled(network, random_images(task, 4).double())
            folded = fold(model)
            assert not any(
                isinstance(module, nn.BatchNorm2d) for module in folded.modules()
            ), arch
            images = random_images(task, 2).double()
            with torch.inference_mode():
                expected = model.eval()(images)
                found = folded(images)
            assert expected.std() > 0
            torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)

    def test_mutations_are_other_networks_of_the_space(
        self, space: SearchSpace
    ) -> None:
        rng = np.random.default_rng(0)
        (arch,) = draw(space, 1)
        for _ in range(20):
            mutant = space.mutate(arch, rng)
            assert mutant.id != arch.id
            assert space.suggest(Replay(space.params(mutant))) == mutant
            arch = mutant

    def test_draws_keep_to_their_limits(
        self, space: SearchSpace, archs: list[Arch]
    ) -> None:
        macs = [complexity(arch).macs for arch in archs]
        middle = float(np.median(macs))
        limits = {"macs": (0.8 * middle, 1.2 * middle)}
        samples = space.samples(np.random.default_rng(0), limits)
        drawn = list(islice(samples, 20))
        assert len({arch.id for arch in drawn}) == 20
        assert all(
            0.8 * middle <= complexity(arch).macs <= 1.2 * middle for arch in drawn
        )


def draw(space: SearchSpace, count: int, seed: int = 0) -> list[Arch]:
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(count)]
