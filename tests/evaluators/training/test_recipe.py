import dataclasses

import pytest
import torch
from torch import nn

from evaluators import Recipe
from evaluators.training.recipe import split_parameters
from search_spaces import ResNeSt, Task, build


def test_schedule_warms_up_then_falls_to_zero() -> None:
    recipe = Recipe(epochs=10, batch_size=128, lr=0.4, warmup_epochs=2)
    rates = [recipe.lr_at(epoch / 4) for epoch in range(41)]
    assert rates[0] == 0
    assert max(rates) == rates[8] == pytest.approx(0.2)
    assert recipe.lr_at(1) == pytest.approx(0.1)
    assert recipe.lr_at(6) == pytest.approx(0.1)
    assert rates[-1] == pytest.approx(0)
    assert rates[8:] == sorted(rates[8:], reverse=True)


def test_warmup_leaves_half_of_the_training_to_fall() -> None:
    recipe = Recipe(epochs=1, batch_size=256, lr=1.0, warmup_epochs=1)
    assert [recipe.lr_at(epoch / 4) for epoch in range(5)] == pytest.approx(
        [0, 0.5, 1, 0.5, 0]
    )


def test_one_cycle_rises_for_three_tenths() -> None:
    recipe = Recipe(epochs=10, batch_size=256, lr=1.0, schedule="one_cycle")
    rates = [recipe.lr_at(epoch / 10) for epoch in range(101)]
    assert rates[0] == pytest.approx(1 / 25)
    assert max(rates) == rates[30] == pytest.approx(1)
    assert 0 < rates[-1] < 1e-5
    assert rates[:31] == sorted(rates[:31])
    assert rates[30:] == sorted(rates[30:], reverse=True)


def test_one_cycle_is_torchs() -> None:
    recipe = Recipe(epochs=4, batch_size=256, lr=0.5, schedule="one_cycle")
    steps = 101
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], momentum=0.9)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.5, total_steps=steps, cycle_momentum=False
    )
    rise = 0.3 * steps - 1  # torch rises until this step, and both its ends are steps
    for step in range(steps):
        share = (
            0.3 * step / rise
            if step < rise
            else 0.3 + 0.7 * (step - rise) / (steps - 1 - rise)
        )
        assert recipe.lr_at(4 * share) == pytest.approx(theirs.get_last_lr()[0])
        optimizer.step()
        if step < steps - 1:
            theirs.step()


def test_learning_rate_scales_with_the_batch() -> None:
    assert Recipe(batch_size=32).lr_at(3) * 8 == pytest.approx(
        Recipe(batch_size=256).lr_at(3)
    )


@pytest.mark.parametrize("radix", [0, 1, 2])
def test_weight_decay_skips_every_norm_and_bias(radix: int) -> None:
    model = build(
        ResNeSt((1, 1, 1, 1), (8, 16, 16, 16), radix=radix), Task(num_classes=10)
    )
    decayed, rest = split_parameters(model)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    norms = {
        f"{name}.{leaf}"
        for name, module in model.named_modules()
        if isinstance(module, nn.BatchNorm2d)
        for leaf in ("weight", "bias")
    }
    biases = {name for name in names.values() if name.endswith(".bias")}
    assert {names[id(parameter)] for parameter in rest} == norms | biases
    assert len(decayed) + len(rest) == len(names)


def test_optimizer_decays_one_group_alone() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    groups = Recipe(weight_decay=0.1).optimizer_of(model).param_groups
    assert [group["weight_decay"] for group in groups] == [0.1, 0.0]
    assert [len(group["params"]) for group in groups] == [1, 3]
    assert torch.equal(groups[0]["params"][0], model[0].weight)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("batch_size", 1),
        ("lr", 0.0),
        ("lr", float("nan")),
        ("momentum", 1.0),
        ("weight_decay", -1.0),
        ("label_smoothing", 1.0),
        ("warmup_epochs", -1.0),
        ("schedule", "linear"),
        ("clip_norm", 0.0),
        ("clip_norm", float("inf")),
        ("ema", 1.0),
        ("accumulate", 0),
        ("accumulate", 33),
        ("precision", "float64"),
    ],
)
def test_wrong_field_is_named(field: str, value: float | str) -> None:
    with pytest.raises(ValueError, match=rf"Recipe\.{field}: must .*, got {value!r}"):
        dataclasses.replace(Recipe(), **{field: value})


def test_an_overflow_in_the_first_step_leaves_momentum_at_rest() -> None:
    model = nn.Linear(300, 300)
    optimizer = Recipe().optimizer_of(model, 0.1)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, float("inf"))
    before = [parameter.clone() for parameter in model.parameters()]
    # what a GradScaler that found an infinity tells the fused optimiser
    optimizer.grad_scale, optimizer.found_inf = torch.tensor(4.0), torch.tensor(1.0)
    optimizer.step()
    assert all(map(torch.equal, model.parameters(), before))
    assert all(not state["momentum_buffer"].any() for state in optimizer.state.values())
