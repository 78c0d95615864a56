from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
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


FORWARD = """
import sys
import torch
from evaluators.devices.compiled import compile_blocks
from search_spaces import ResNeSt, Task, build

arch = ResNeSt((1, 1, 1, 1), (8, 8, 8, int(sys.argv[1])), radix=0, stem_width=8)
network = build(arch, Task(4, 8, 3, small_images=True)).eval()
compile_blocks(network)
with torch.inference_mode():
    network(torch.zeros(2, 3, 8, 8))
found = torch._dynamo.utils.counters["inductor"]
print(found["fxgraph_cache_hit"], found["fxgraph_cache_miss"])
"""


def _hits_and_misses(width: int, folder: Path) -> tuple[int, int]:
    """Of kernels that a new process looks up on disk."""
    done = subprocess.run(
        [sys.executable, "-c", FORWARD, str(width)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
        env=os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(folder)},
    )
    hits, misses = map(int, done.stdout.split())
    return hits, misses


@pytest.mark.slow
def test_another_trial_finds_the_kernels_of_equal_blocks_on_disk(
    tmp_path: Path,
) -> None:
    assert _hits_and_misses(8, tmp_path) == (0, 4)
    assert _hits_and_misses(16, tmp_path) == (3, 1), "only the last stage is new"
