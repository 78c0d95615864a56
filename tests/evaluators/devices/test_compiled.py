from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from evaluators.devices.compiled import compile_blocks
from search_spaces import ResNeSt, Task, build

TASK = Task(4, 8, 3, small_images=True)


class Counting:
    """A backend of ``torch.compile`` that counts what it compiles, and how often that runs."""

    def __init__(self) -> None:
        self.compiled = self.runs = 0

    def __call__(
        self, graph: torch.fx.GraphModule, inputs: Sequence[Tensor]
    ) -> Callable[..., Any]:
        self.compiled += 1

        def run(*values: Any) -> Any:
            self.runs += 1
            return graph.forward(*values)

        return run


class Own(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + 1


@pytest.fixture(autouse=True)
def own_limit() -> Iterator[None]:
    with torch._dynamo.config.patch(recompile_limit=2), torch.no_grad():
        yield


def test_every_block_is_compiled_and_equal_ones_once() -> None:
    """More different blocks than torch would compile of one ``forward`` if it were left to itself."""
    arch = ResNeSt((3, 1, 1, 1), (8, 8, 8, 8), radix=0, stem_width=16)
    network, images = build(arch, TASK).eval(), torch.randn(2, 3, 8, 8)
    expected, backend = network(images), Counting()
    compile_blocks(network, backend)
    for _ in range(2):
        assert torch.allclose(network(images), expected, atol=1e-6)
    assert backend.runs == 2 * 6
    # the first stage's three are equal; each of the others meets maps of its own size
    assert backend.compiled == 4


def test_a_model_without_blocks_is_compiled_whole() -> None:
    model, backend = Own(), Counting()
    compile_blocks(model, backend)
    assert model(torch.zeros(3)).sum() == 3
    assert backend.runs == 1
