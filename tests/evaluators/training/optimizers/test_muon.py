import numpy as np
import pytest
import torch
from torch import nn

from evaluators import Recipe
from evaluators.training.optimizers.muon import SHARE, Muon, orthogonalised
from evaluators.training.optimizers.sgd import SGD
from search_spaces import Task, build, get_space


def gradients(model: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        drawn = torch.randn(parameter.shape, generator=generator)
        parameter.grad = torch.empty_like(parameter).copy_(drawn)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_steps_as_torchs_own_on_flattened_convolutions(
    layout: torch.memory_format,
) -> None:
    model = nn.Conv2d(6, 10, 3, bias=False).to(memory_format=layout)
    flat = nn.Parameter(model.weight.detach().flatten(1).clone())
    ours = Recipe(optimizer="muon", weight_decay=0).optimizer_of(model, 0.2)
    theirs = torch.optim.Muon([flat], lr=0.2 * SHARE, momentum=0.9, weight_decay=0)
    for step in range(3):
        gradients(model, step)
        flat.grad = model.weight.grad.flatten(1).clone()
        ours.step()
        theirs.step()
        # torch's iterates in bfloat16
        torch.testing.assert_close(model.weight.flatten(1), flat, atol=3e-3, rtol=0)


def test_singular_values_are_about_one() -> None:
    for shape in ((3, 8, 40), (2, 40, 8), (1, 16, 16)):
        matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        rows, columns = shape[1:]
        values = torch.linalg.svdvals(orthogonalised(matrices)) / SHARE
        values = values / max(1, rows / columns) ** 0.5
        assert values.min() > 0.3
        assert values.max() < 1.3
    assert not orthogonalised(torch.zeros(1, 4, 4)).any()


@pytest.mark.parametrize("out", [3, 90])  # matrices wider than tall, and taller
def test_every_group_is_a_matrix_of_its_own(out: int) -> None:
    grouped, first = nn.Conv2d(8, 2 * out, 3, groups=2), nn.Conv2d(4, out, 3)
    half = {"weight": grouped.weight[:out], "bias": grouped.bias[:out]}
    first.load_state_dict({name: value.clone() for name, value in half.items()})
    for model in (grouped, first):
        optimizer = Recipe(optimizer="muon").optimizer_of(model, 0.1)
        gradients(grouped, 0)
        if model is first:
            first.weight.grad = grouped.weight.grad[:out].clone()
            first.bias.grad = grouped.bias.grad[:out].clone()
        optimizer.step()
    torch.testing.assert_close(grouped.weight[:out], first.weight)


def test_only_full_convolutions_are_matrices() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.Conv2d(8, 8, 3, groups=8),
        nn.BatchNorm2d(8),
        nn.Linear(8, 2),
    )
    optimizer = Recipe(optimizer="muon").optimizer_of(model)
    assert isinstance(optimizer, Muon)
    (convolutions,) = [g for g in optimizer.param_groups if g["momentum"] == 0]
    assert [id(p) for p in convolutions["params"]] == [id(model[0].weight)]
    there = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(there) == sorted(map(id, model.parameters()))


def test_a_classifier_of_convolutions_is_not_muons() -> None:
    space = get_space("fbnetv2", rows2=1, rows3=1, rows4=1, rows5=1)
    task = Task(num_classes=3, resolution=32, small_images=True)
    model = build(space.sample(np.random.default_rng(0)), task)
    optimizer = Recipe(optimizer="muon").optimizer_of(model)
    orthogonal = {id(weight) for weight in optimizer.param_groups[-1]["params"]}
    named = dict(model.named_parameters())
    assert id(named["expand.weight"]) in orthogonal
    assert id(named["embed.weight"]) not in orthogonal
    assert id(named["classifier.weight"]) not in orthogonal


def test_without_convolutions_it_is_sgd() -> None:
    optimizer = Recipe(optimizer="muon").optimizer_of(nn.Linear(4, 2))
    assert type(optimizer) is SGD


def test_float16_overflow_leaves_the_momentum_alone() -> None:
    model = nn.Conv2d(3, 8, 3)
    optimizer = Recipe(optimizer="muon").optimizer_of(model, 0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    before = model.weight.clone()
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, float("inf"))
    scaler.scale(torch.zeros(()))
    scaler.step(optimizer)
    assert torch.equal(model.weight, before)
    assert not any(state["momentum_buffer"].any() for state in optimizer.state.values())
