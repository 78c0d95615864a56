"""Export random architectures of the three spaces; print what each program takes and how exact it is.

python benchmarks/export.py [--count 30] [--largest 60e6] [--seed 0]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import nn

from nas.exporting.programs import save_onnx, save_program, to_program
from search_spaces import Network, Task, build, complexity, fold, get_space
from search_spaces.counting import random_images, unsettled

TASK = Task(num_classes=10, resolution=64)


def with_statistics(network: Network) -> Network:
    """Norms as after training: far from their start, their statistics those of what they see."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    # noise alone is pooled to nearly a constant, whose deviation a gate's norm would divide by
    contrast, brightness = torch.rand(2, 16, 3, 1, 1) * 2
    unsettled(network, random_images(TASK, 16) * contrast + brightness)
    return network.eval()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--largest", type=float, default=60e6, help="parameters")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(2)
    rng = np.random.default_rng(options.seed)
    spaces = [get_space(name) for name in ("resnest", "regnety", "fbnetv2")]
    print(f"{'space':8} {'blocks':>6} {'params':>8} | {'ONNX MB':>8} {'s':>6} {'difference':>10} "
          f"| {'pt2 MB':>8} {'s':>6} {'difference':>10} | {'float32':>8} {'logit':>5}", flush=True)  # fmt: skip
    worst = 0.0
    for number in range(options.count):
        arch = spaces[number % 3].sample(rng, limits={"params": (0, options.largest)})
        network = with_statistics(build(arch, TASK))
        blocks = sum(map(len, arch.describe().stages))
        with TemporaryDirectory() as folder:
            program = to_program(fold(network))
            onnx = save_onnx(program, Path(folder) / "model.onnx", network)
            pt2 = save_program(program, Path(folder) / "model.pt2", network)
        params = complexity(arch, TASK).params / 1e6
        print(f"{arch.space:8} {blocks:6} {params:6.1f} M | {onnx.megabytes:8.1f} {onnx.seconds:6.1f} "
              f"{onnx.max_difference:10.1e} | {pt2.megabytes:8.1f} {pt2.seconds:6.1f} "
              f"{pt2.max_difference:10.1e} | {pt2.rounding:8.1e} "
              f"{pt2.largest_logit:5.1f}", flush=True)  # fmt: skip
        worst = max(worst, onnx.max_difference, pt2.max_difference)
    print(f"{options.count} networks, largest difference {worst:.1e}")


if __name__ == "__main__":
    main()
