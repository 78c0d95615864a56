from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import fx, nn

from search_spaces import Arch, ResNeSt, Task, build, fold, get_space, reference
from search_spaces.counting import random_images, unsettled
from search_spaces.testing import draw

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


class NodePaths(fx.Tracer):
    """Notes which module each node belongs to, as torchvision's ``create_feature_extractor`` does."""

    def __init__(self, root: nn.Module, wanted: list[str]) -> None:
        super().__init__()
        self.path, self.last = "", dict[str, fx.Node]()
        graph = self.trace(root)
        (output,) = (node for node in graph.nodes if node.op == "output")
        output.args = ({name: self.last[name] for name in wanted},)
        self.extractor = fx.GraphModule(self.root, graph)
        self.extractor.graph.eliminate_dead_code()
        self.extractor.recompile()

    def call_module(self, m: nn.Module, *call: Any) -> Any:
        before, self.path = self.path, self.path_of_module(m)
        try:
            return super().call_module(m, *call)
        finally:
            self.path = before

    def create_proxy(self, *args: Any, **options: Any) -> fx.Proxy:
        proxy = super().create_proxy(*args, **options)
        parts = self.path.split(".")
        for length in range(1, len(parts) + 1):
            self.last[".".join(parts[:length])] = proxy.node
        return proxy


@pytest.mark.parametrize("arch", archs()[::3], ids=lambda arch: arch.space)
@pytest.mark.parametrize("training", [True, False])
def test_an_extractor_by_node_names_gives_the_features(
    arch: Arch, training: bool
) -> None:
    task = Task(7, 32, small_images=True)
    x = random_images(task, 4).double()
    network = unsettled(build(arch, task).double(), x).train(training)
    stages = [name for name, _ in network.named_children() if name.startswith("layer")]
    extractor = NodePaths(network, stages[1:3]).extractor
    side = network.resize.side if hasattr(network, "resize") else 32
    x = nn.functional.interpolate(x, (side, side))
    for found, expected in zip(
        extractor(x).values(), network.features(x)[1:3], strict=True
    ):
        torch.testing.assert_close(found, expected)
