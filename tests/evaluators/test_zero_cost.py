import copy
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from evaluators import Evaluator, ZeroCost
from evaluators.testing import EvaluatorContract
from evaluators.zero_cost import IMAGES, PROXIES, naswot, synflow, zen
from search_spaces import ResNeSt, SplitAttention, Task, build, get_space

TASK = Task(num_classes=10, resolution=8, channels=1, small_images=True)
SMALL = ResNeSt((1, 1, 1, 1), (8, 8, 8, 8), stem_width=8)


class TestZeroCost(EvaluatorContract):
    deterministic = tuple(PROXIES)

    @pytest.fixture(params=PROXIES)
    def evaluator(self, request: pytest.FixtureRequest) -> Evaluator:
        return ZeroCost(request.param, TASK)


def score(proxy: str, arch: ResNeSt = SMALL, seed: int = 0, task: Task = TASK) -> float:
    (row,) = ZeroCost(proxy, task).evaluate(arch, seed=seed)
    return float(row[proxy])


@pytest.mark.parametrize("proxy", PROXIES)
@pytest.mark.parametrize("space", ["resnest", "regnety", "fbnetv2"])
def test_finite_for_every_network(space: str, proxy: str) -> None:
    rng = np.random.default_rng(0)
    for task in (TASK, Task(num_classes=3, resolution=33, channels=2)):
        (row,) = ZeroCost(proxy, task).evaluate(get_space(space).sample(rng))
        assert math.isfinite(row[proxy])


@pytest.mark.parametrize("proxy", PROXIES)
def test_the_seed_decides(proxy: str) -> None:
    assert score(proxy, seed=1) == score(proxy, seed=1) != score(proxy, seed=2)


@pytest.mark.parametrize("proxy", PROXIES)
def test_sees_images_up_to_a_size(proxy: str) -> None:
    assert score(proxy, task=Task(resolution=224)) == score(
        proxy, task=Task(resolution=64)
    )


@pytest.mark.parametrize("proxy", PROXIES)
def test_deeper_and_wider_scores_higher(proxy: str) -> None:
    assert score(proxy, ResNeSt((2, 2, 2, 2), (32, 32, 32, 32), stem_width=16)) > score(
        proxy
    )


def test_synflow_of_a_chain_by_hand() -> None:
    """Two layers: R = sum(|W2| |W1| 1), and every layer's weights add R."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    first, second = model[1].weight.detach().abs(), model[3].weight.detach().abs()
    flow = (second @ first @ torch.ones(4)).sum()
    found = synflow(copy.deepcopy(model), Task(num_classes=2, resolution=2, channels=1))
    assert found == pytest.approx(math.log(2 * flow), rel=1e-5)


def test_synflow_is_that_without_scaling() -> None:
    """The definition, word for word, in double precision on a network small enough not to overflow."""
    torch.manual_seed(0)
    model = build(SMALL, TASK, zero_gamma=False)
    plain = copy.deepcopy(model).double().eval()
    for module in plain.modules():
        if isinstance(module, SplitAttention):
            nn.init.zeros_(module.fc2.weight)
    for name, parameter in plain.named_parameters():
        parameter.data = (
            torch.zeros_like(parameter)
            if name.endswith("bias")
            else parameter.data.abs()
        )
    plain(torch.ones(1, 1, 8, 8, dtype=torch.float64)).sum().backward()
    layers = [m for m in plain.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    flow = sum(
        (m.weight * m.weight.grad).sum() for m in layers if m.weight.grad is not None
    )
    assert synflow(model, TASK) == pytest.approx(math.log(flow.item()), rel=1e-4)


def test_naswot_counts_agreeing_units() -> None:
    torch.manual_seed(0)
    seen: list[Tensor] = []

    class Watched(nn.ReLU):
        def forward(self, x: Tensor) -> Tensor:
            seen.append((x > 0).flatten(1))
            return super().forward(x)

    model = nn.Sequential(
        nn.Conv2d(1, 3, 3), Watched(inplace=True), nn.Conv2d(3, 4, 3), Watched()
    )
    found = naswot(model, TASK)
    codes = torch.cat(seen, 1)
    kernel = (codes[:, None] == codes).sum(2).double()
    assert kernel.diagonal().unique().tolist() == [3 * 36 + 4 * 16]
    assert codes.shape[0] == IMAGES
    assert found == pytest.approx(torch.linalg.slogdet(kernel).logabsdet.item())


def test_zen_gives_back_what_norms_take() -> None:
    """Behind a norm the scale of the weights shows in the deviation alone."""
    task = Task(num_classes=2, resolution=8, channels=1)

    def of(*layers: nn.Module) -> float:
        torch.manual_seed(0)
        return zen(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1)), task)

    normed = of(nn.Conv2d(1, 8, 3, bias=False), nn.BatchNorm2d(8))
    assert normed == pytest.approx(of(nn.Conv2d(1, 8, 3, bias=False)), abs=0.1)


@pytest.mark.parametrize("proxy", [synflow, zen])
def test_gates_take_no_part(proxy: Callable[[nn.Module, Task], float]) -> None:
    """The same score however strong the gates' own weights were."""
    scores = []
    for gain in (1.0, 100.0):
        torch.manual_seed(0)
        model = build(SMALL, TASK, zero_gamma=False)
        for module in model.modules():
            if isinstance(module, SplitAttention):
                module.fc2.weight.data *= gain
        torch.manual_seed(1)
        scores.append(proxy(model, TASK))
    assert scores[0] == scores[1]


def test_an_unknown_proxy() -> None:
    with pytest.raises(
        ValueError, match="unknown proxy 'grasp'; there are synflow, naswot, zen"
    ):
        ZeroCost("grasp")
