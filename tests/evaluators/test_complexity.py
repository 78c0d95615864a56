import csv
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from evaluators import Complexity, count_flops, count_operators
from search_spaces import (
    OPERATORS,
    REFERENCES,
    ResNeSt,
    Task,
    build,
    complexity,
    get_space,
    reference,
)

SMALL = Task(num_classes=10, resolution=16, channels=1, small_images=True)


def test_counts_a_network_by_hand() -> None:
    task = Task(num_classes=5, resolution=6, channels=2)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3),
        nn.BatchNorm2d(4),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 5),
    )
    conv, norm, pool, linear = 2 * 4 * 9 * 4 * 4, 2 * 4 * 4 * 4, 4 * 4 * 4, 4 * 5
    counted = count_operators(model, task)
    assert counted == {
        "conv": conv,
        "linear": linear,
        "batch_norm": norm,
        "adaptive_avg_pool2d": pool,
    }
    assert count_flops(model, task) == conv + norm + pool + linear


@pytest.mark.parametrize("radix", [0, 1, 2])
def test_agrees_with_the_count_from_the_architecture(radix: int) -> None:
    arch = ResNeSt((1, 2, 1, 1), (8, 16, 16, 24), radix=radix, stem_width=8)
    cost = complexity(arch, SMALL)
    (row,) = Complexity(SMALL).evaluate(arch)
    counted = count_operators(build(arch, SMALL), SMALL)
    assert counted == {name: getattr(cost, name) for name in OPERATORS}
    assert row["flops"] == sum(counted.values())
    assert row["macs"] == counted["conv"] + counted["linear"]
    assert row["params"] == sum(p.numel() for p in build(arch, SMALL).parameters())


def test_leaves_the_model_as_it_was(arch: ResNeSt) -> None:
    model = build(arch, SMALL)
    model.fc.eval()
    modes = [module.training for module in model.modules()]
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    count_flops(model, SMALL)
    assert [module.training for module in model.modules()] == modes
    assert all(
        torch.equal(state[name], tensor) for name, tensor in model.state_dict().items()
    )


def test_is_quiet(
    arch: ResNeSt, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    count_flops(build(arch, SMALL), SMALL)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_without_fvcore_says_how_to_get_it() -> None:
    script = """
        import sys
        sys.modules["fvcore"] = None
        from torch import nn
        from evaluators import count_flops
        from search_spaces import Task
        try:
            count_flops(nn.Conv2d(3, 1, 1), Task())
        except ImportError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "pip install fvcore" in done.stdout


def test_space_samples_agree() -> None:
    space = get_space(
        "resnest",
        depth1=(1,),
        depth2=(1, 2),
        depth3=(1,),
        depth4=(1,),
        stem_width=(16,),
    )
    for seed in range(3):
        arch = space.sample(np.random.default_rng(seed))
        assert count_flops(build(arch, SMALL), SMALL) == complexity(arch, SMALL).flops


RESNESTS = {
    row["name"]: row
    for row in csv.DictReader(
        (Path(__file__).parents[1] / "reference/resnest.csv").read_text().splitlines()
    )
}


@pytest.mark.parametrize("name", REFERENCES)
def test_published_networks_count_what_they_cost(name: str) -> None:
    """At the published resolution; for the ResNeSts also what the authors' own code was measured to cost."""
    row = RESNESTS.get(name, {})
    task = Task(resolution=int(row.get("resolution", 224)))
    counted = count_flops(build(reference(name), task), task)
    assert counted == complexity(reference(name), task).flops
    assert counted == int(row.get("measured_fvcore_total_eval", counted))
