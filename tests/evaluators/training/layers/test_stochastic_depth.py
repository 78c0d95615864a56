"""What is dropped is dropped as often as the recipe says, in training alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from evaluators import Dataset, Recipe, Split
from evaluators.devices.seeding import build_seeded
from evaluators.training.engine import Training
from evaluators.training.layers.stochastic_depth import Drops
from evaluators.training.recipe import split_parameters
from search_spaces import Arch, ResNeSt, Task, get_space, reference
from search_spaces.blocks.residual import ResidualBlock

CPU = torch.device("cpu")
TASK = Task(10, 16, 1, small_images=True)
SMALL = ResNeSt(depths=(2, 1, 1, 2), widths=(8, 8, 16, 16), stem_width=8)
PUBLISHED = {"regnety": "regnety_200mf", "fbnetv2": "fbnetv2_f1"}
RECIPE = Recipe(epochs=2, batch_size=16, warmup_epochs=0, lr=0.05)


def outputs(module: nn.Module) -> list[Tensor]:
    """Filled with what the module gives."""
    seen: list[Tensor] = []
    module.register_forward_hook(
        lambda module, inputs, output: seen.append(output.detach().clone())
    )
    return seen


def ends(network: nn.Module) -> list[nn.Module]:
    blocks = [
        module for module in network.modules() if isinstance(module, ResidualBlock)
    ]
    return [block.last_norm for block in blocks if block.last_norm is not None]


def test_stochastic_depth_skips_branches_as_often_as_it_says() -> None:
    network = build_seeded(SMALL, TASK, 0, zero_gamma=False).train()
    keys = list(network.state_dict())
    Drops(network, replace(RECIPE, stochastic_depth=0.6), CPU)
    seen = [outputs(norm) for norm in ends(network)]
    torch.manual_seed(0)
    for _ in range(8):
        network(torch.randn(250, 1, 16, 16))
    shares = [
        (torch.cat(each).flatten(1).abs().amax(1) == 0).float().mean().item()
        for each in seen
    ]
    expected = [0.6 * number / 6 for number in range(1, 7)]
    assert shares == pytest.approx(expected, abs=4 * (0.25 / 2000) ** 0.5)
    assert list(network.state_dict()) == keys


def test_stochastic_depth_keeps_the_mean() -> None:
    norm = ends(network := build_seeded(SMALL, TASK, 0, zero_gamma=False).train())[-1]
    images = torch.randn(4, 1, 16, 16)
    plain = outputs(norm)
    network(images)
    Drops(network, replace(RECIPE, stochastic_depth=0.5), CPU)
    dropped = outputs(norm)
    inputs = norm_input(network, norm, images)
    torch.manual_seed(0)
    for _ in range(2000):
        norm(inputs)
    mean = torch.stack(dropped[1:]).mean(0)
    assert torch.allclose(mean, norm_output(norm, inputs), atol=0.3)
    assert plain


def norm_input(network: nn.Module, norm: nn.Module, images: Tensor) -> Tensor:
    seen: list[Tensor] = []
    handle = norm.register_forward_hook(
        lambda module, inputs, output: seen.append(inputs[0].detach().clone())
    )
    network(images)
    handle.remove()
    return seen[0]


def norm_output(norm: nn.Module, inputs: Tensor) -> Tensor:
    with torch.no_grad():  # nothing is dropped
        output: Tensor = norm(inputs)
    return output


@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
def test_drop_block_blanks_squares_of_the_share_that_the_schedule_says(
    progress: float,
) -> None:
    network = build_seeded(
        SMALL, replace(TASK, resolution=64), 0, zero_gamma=False
    ).train()
    drops = Drops(network, replace(RECIPE, drop_block=0.1, drop_block_size=3), CPU)
    drops.advance(progress)
    modules = [module for stage in network.stages for module in stage.modules()]
    norms = [module for module in modules if isinstance(module, nn.BatchNorm2d)]
    last = {id(m) for stage in network.stages[-2:] for m in stage.modules()}
    seen = {index: outputs(norm) for index, norm in enumerate(norms)}
    torch.manual_seed(0)
    network(torch.randn(16, 1, 64, 64))
    blanks = {True: [torch.zeros(1)], False: [torch.zeros(1)]}
    for index, norm in enumerate(norms):
        blank = (seen[index][0] == 0).float()
        blanks[id(norm) in last and blank.shape[-1] > 1].append(blank.flatten())
    assert torch.cat(blanks[False]).sum() == 0
    # squares overlap, so a little less than the share
    assert torch.cat(blanks[True]).mean().item() == pytest.approx(
        0.095 * progress, rel=0.08
    )


def test_drop_block_blanks_squares_not_pixels() -> None:
    network = build_seeded(
        SMALL, replace(TASK, resolution=64), 0, zero_gamma=False
    ).train()
    drops = Drops(network, replace(RECIPE, drop_block=0.05, drop_block_size=3), CPU)
    drops.advance(1.0)
    seen = outputs(ends(network)[-1])
    network(torch.randn(8, 1, 64, 64))
    blank = (seen[0] == 0).float()
    inside = nn.functional.avg_pool2d(blank, 3, 1, 1, divisor_override=9) >= 1 - 1e-6
    covered = nn.functional.max_pool2d(inside.float(), 3, 1, 1)
    assert blank.sum() > 0
    # every blank pixel belongs to a whole blank square
    assert torch.equal(covered, blank)


def test_nothing_is_dropped_without_gradients() -> None:
    network = build_seeded(SMALL, TASK, 0, zero_gamma=False)
    drops = Drops(network, replace(RECIPE, stochastic_depth=0.9, drop_block=0.9), CPU)
    drops.advance(1.0)
    images = torch.randn(8, 1, 16, 16)
    assert torch.equal(network.eval()(images), network(images))
    with torch.no_grad():
        assert torch.equal(network.train()(images), network(images))


def test_a_training_that_drops_resumes_to_the_bit() -> None:
    labels = torch.randint(10, (64,))
    split = Split(torch.randint(255, (64, 1, 16, 16), dtype=torch.uint8), labels)
    dataset = Dataset(split, split, TASK, torch.tensor([127.0]), torch.tensor([70.0]))
    recipe = replace(RECIPE, stochastic_depth=0.3, drop_block=0.3, ema=0.5)
    whole, first, second = (
        Training(build_seeded(SMALL, TASK, 0), dataset, recipe, CPU) for _ in range(3)
    )
    for _ in range(2):
        whole.next_epoch()
    first.next_epoch()
    second.load_state_dict(first.state_dict())
    second.next_epoch()
    for ours, theirs in zip(
        second.evaluated.parameters(), whole.evaluated.parameters(), strict=True
    ):
        assert torch.equal(ours, theirs)
    plain = Training(
        build_seeded(SMALL, TASK, 0), dataset, replace(recipe, drop_block=0.0), CPU
    )
    plain.next_epoch()
    plain.next_epoch()
    assert plain.history[-1]["train_loss"] != whole.history[-1]["train_loss"]


@pytest.mark.parametrize("change", [{"stochastic_depth": 0.1}, {"drop_block": 0.1}])
def test_a_network_without_blocks_cannot_drop_any(change: dict[str, float]) -> None:
    with pytest.raises(
        ValueError, match=f"Recipe: {next(iter(change))} needs .* set it to 0"
    ):
        Drops(nn.Linear(1, 1), replace(RECIPE, **change), CPU)


@pytest.mark.parametrize("name", ["resnest", "regnety", "fbnetv2"])
def test_every_residual_branch_starts_at_zero_unless_told(name: str) -> None:
    arch: Arch = {"resnest": SMALL}.get(name) or reference(PUBLISHED[name])
    for zero in (True, False):
        norms = ends(build_seeded(arch, TASK, 0, zero_gamma=zero))
        assert norms
        assert all(bool((norm.weight == 0).all()) == zero for norm in norms)


@pytest.mark.parametrize("name", ["resnest", "regnety", "fbnetv2"])
def test_no_norm_and_no_bias_decays(name: str) -> None:
    network = build_seeded(
        get_space(name).sample(np.random.default_rng(0)), Task(10, 32, 3, True), 0
    )
    decayed, rest = split_parameters(network)
    exempt = {
        id(p)
        for key, p in network.named_parameters()
        if p.ndim == 1 or key.endswith("bias")
    }
    assert {id(p) for p in rest} == exempt
    assert {id(p) for p in decayed} == {id(p) for p in network.parameters()} - exempt
