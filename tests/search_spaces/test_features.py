from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import nn

from search_spaces import Arch, ResNeSt, Task, build, fold, get_space, reference
from search_spaces.testing import draw, random_images, unsettled

PAGE = Path(__file__).parents[2] / "docs/backbone.md"
NARROW = {
    "resnest": {f"depth{stage}": [1, 2] for stage in range(1, 5)}
    | {f"width{stage}": [16, 24, 32] for stage in range(1, 5)},
    "regnety": {"depth": range(8, 13), "w0": [8, 16], "wm": [2.0, 2.2]},
    "fbnetv2": {f"rows{stage}": [1, 2] for stage in range(1, 6)} | {"repeat": 1},
}


def archs() -> list[Arch]:
    return [
        arch
        for name, knobs in NARROW.items()
        for arch in draw(get_space(name, **knobs), 3)
    ]


@pytest.mark.parametrize("arch", archs(), ids=lambda arch: f"{arch.space}-{arch.id}")
@pytest.mark.parametrize(
    "task", [Task(7, 64), Task(7, 32, 1, small_images=True)], ids=["large", "small"]
)
def test_features_are_what_the_info_says_and_what_the_head_takes(
    arch: Arch, task: Task
) -> None:
    network = build(arch, task)
    x = random_images(task, 2)
    if hasattr(network, "resize"):
        side = network.resize.side
        x = nn.functional.interpolate(x, (side, side))
    unsettled(network, x).eval()
    with torch.inference_mode():
        features = network.features(x)
        assert torch.equal(network.classify(features[-1]), network(x))
        assert len(features) == len(network.feature_info) == len(arch.describe().stages)
        for shape in ((64, 64), (96, 160), (33, 47)):
            maps = network.features(torch.randn(1, task.channels, *shape))
            for (channels, stride), each in zip(
                network.feature_info, maps, strict=True
            ):
                assert each.shape == (
                    1,
                    channels,
                    *(-(-side // stride) for side in shape),
                )


def test_stages_keep_what_they_put_out() -> None:
    """Later stages work in place, but not on what was handed out."""
    network = build(ResNeSt(depths=(1, 1, 1, 1))).eval()
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        first = network.features(x)[0]
        alone = nn.Sequential(
            *list(network.children())[
                : list(dict(network.named_children())).index("layer2")
            ]
        )
        assert torch.equal(first, alone(x))


def test_a_folded_network_has_features_too() -> None:
    network = build(ResNeSt(depths=(1, 1, 1, 1)), Task(10, 64)).eval()
    x = torch.randn(1, 3, 64, 64)
    folded = fold(network)
    assert folded.feature_info == network.feature_info
    for ours, theirs in zip(folded.features(x), network.features(x), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_the_info_of_a_published_network() -> None:
    info = build(
        reference("resnest50"), Task(10, 32, 3, small_images=True)
    ).feature_info
    assert info == ((256, 1), (512, 2), (1024, 4), (2048, 8))


def test_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(
        r"^```(\w*)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    (_, example), (_, printed) = blocks
    exec(compile(example, str(PAGE), "exec"), {})  # noqa: S102
    assert capsys.readouterr().out == printed
