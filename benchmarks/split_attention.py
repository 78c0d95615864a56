"""Split-Attention against the authors' module (``resnest`` 0.0.5) on the shapes of ResNet-50's four stages.

Forward + backward in training mode with the same weights, theirs and ours alternating in one process: the
whole module, and what attention adds to convolution + norm + ReLU. The latter is measured without the
convolution, whose noise would drown it: the median over the rounds of the difference to norm + ReLU in the
same round, +- the half width of its 95 % interval. Memory is what stays between forward and backward: bytes
saved for the backward pass, the module's input included.

On CPU with one thread the clock is the thread's own CPU time, so that other load matters less; with more
it is wall time. On CUDA it is events on the device, in eager mode, in float32 and bfloat16.

    python benchmarks/split_attention.py --quick
    python benchmarks/split_attention.py --threads 2 --rounds 31 --radix 2 --stages 1 2
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from itertools import product
from math import sqrt
from statistics import median, stdev
from time import perf_counter, thread_time

import torch
from resnest.torch.splat import SplAtConv2d
from torch import Tensor, nn

from search_spaces import SplitAttention

STAGES = {1: (64, 56), 2: (128, 28), 3: (256, 14), 4: (512, 7)}
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
SIDES = ("theirs", "ours")


@dataclass(frozen=True)
class Case:
    stage: int
    radix: int
    cardinality: int
    layout: str
    dtype: torch.dtype

    def __str__(self) -> str:
        channels, side = STAGES[self.stage]
        dtype = str(self.dtype).removeprefix("torch.")
        shape = f"{channels:4d} x {side:2d}^2"
        return f"{self.stage}  {shape}  r{self.radix} k{self.cardinality}  {self.layout:13s} {dtype:8s}"


@dataclass(frozen=True)
class Result:
    """Milliseconds of every round: whole modules and, under ``added`` + side, attention; bytes saved."""

    times: dict[str, list[float]]
    saved: dict[str, int]

    @property
    def added(self) -> float:
        """What attention adds in ours, as a share of what it adds in theirs."""
        return median(self.times["added ours"]) / median(self.times["added theirs"])

    @property
    def speedup(self) -> float:
        return median(self.times["theirs"]) / median(self.times["ours"])

    def __str__(self) -> str:
        whole, added = (
            "  ".join(with_interval(self.times[f"{part}{side}"]) for side in SIDES)
            for part in ("", "added ")
        )
        saved = "  ".join(f"{self.saved[side] / 2**20:6.0f}" for side in SIDES)
        return f"{whole}  {self.speedup:5.2f}  {added}  {self.added:5.2f}  {saved}"


def with_interval(samples: list[float]) -> str:
    # of a median: 1.25 standard errors of the mean, where samples are near normal
    half = 1.96 * 1.25 * stdev(samples) / sqrt(len(samples))
    return f"{median(samples):7.2f} +-{half:5.2f}"


def measure(
    case: Case,
    batch: int,
    rounds: int,
    device: torch.device,
    *,
    compiled: bool = False,
) -> Result:
    torch.manual_seed(0)
    channels, side = STAGES[case.stage]
    layout = FORMATS[case.layout]
    modules = {
        name: module.to(device, memory_format=layout)
        for name, module in build(case).items()
    }
    if compiled:
        torch.compiler.reset()
        for module in modules.values():
            module.compile(dynamic=False)

    def maps(count: int) -> Tensor:
        return torch.randn(batch, count, side, side, device=device).to(
            memory_format=layout
        )

    x, convolved = (
        maps(count).requires_grad_() for count in (channels, case.radix * channels)
    )

    def forward(name: str) -> Tensor:
        with torch.autocast(
            device.type, case.dtype, enabled=case.dtype != torch.float32
        ):
            out: Tensor = modules[name](
                x if name in SIDES else convolved.to(case.dtype)
            )
        return out

    grads = {name: torch.randn_like(forward(name)) for name in modules}

    def step(name: str) -> None:
        x.grad = convolved.grad = None
        modules[name].zero_grad()
        forward(name).backward(grads[name])

    times: dict[str, list[float]] = {name: [] for name in modules}
    for turn in range(rounds + 2):
        for name in modules:
            elapsed = milliseconds(step, name, device)
            if turn >= 2:
                times[name].append(elapsed)
    base = times.pop("norm + ReLU")
    for side in SIDES:
        times[f"added {side}"] = [
            a - b for a, b in zip(times[f"added {side}"], base, strict=True)
        ]
    return Result(
        times, {side: saved_bytes(forward, side, modules[side]) for side in SIDES}
    )


def build(case: Case) -> dict[str, nn.Module]:
    """Both modules whole, and without the convolution, and norm + ReLU alone."""
    channels, _ = STAGES[case.stage]
    groups, radix = case.cardinality, case.radix
    theirs = SplAtConv2d(
        channels,
        channels,
        3,
        padding=1,
        groups=groups,
        bias=False,
        radix=radix,
        norm_layer=nn.BatchNorm2d,
    )
    ours = SplitAttention(
        channels, channels, 3, padding=1, cardinality=groups, radix=radix
    )
    ours.load_state_dict(theirs.state_dict())
    tails = {"added theirs": deepcopy(theirs), "added ours": deepcopy(ours)}
    for tail in tails.values():
        tail.conv = nn.Identity()
    norm = nn.Sequential(nn.BatchNorm2d(radix * channels), nn.ReLU(inplace=True))
    return {"theirs": theirs, "ours": ours, **tails, "norm + ReLU": norm}


def milliseconds(step: Callable[[str], None], name: str, device: torch.device) -> float:
    if device.type == "cuda":
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        step(name)
        end.record()
        end.synchronize()
        return start.elapsed_time(end)
    clock = thread_time if torch.get_num_threads() == 1 else perf_counter
    started = clock()
    step(name)
    return (clock() - started) * 1e3


def saved_bytes(forward: Callable[[str], Tensor], name: str, module: nn.Module) -> int:
    own = {
        tensor.untyped_storage().data_ptr()
        for tensor in (*module.parameters(), *module.buffers())
    }
    saved: dict[
        int, Tensor
    ] = {}  # the tensors themselves, or a freed address could come back

    def keep(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        forward(name)
    return sum(
        tensor.untyped_storage().nbytes()
        for at, tensor in saved.items()
        if at not in own
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="radix 2, cardinality 1, 9 rounds"
    )
    parser.add_argument("--batch", type=int, default=32, help="images (32)")
    parser.add_argument("--rounds", type=int, help="(21)")
    parser.add_argument("--threads", type=int, default=1, help="on CPU (1)")
    parser.add_argument(
        "--stages", type=int, nargs="+", default=list(STAGES), choices=STAGES
    )
    parser.add_argument("--radix", type=int, nargs="+", choices=(1, 2, 4))
    parser.add_argument("--cardinality", type=int, nargs="+", choices=(1, 2))
    parser.add_argument(
        "--device", default="cuda" if torch.cuda.is_available() else "cpu"
    )
    told = parser.parse_args()
    told.rounds = max(told.rounds or (9 if told.quick else 21), 2)
    told.radix = told.radix or ([2] if told.quick else [1, 2, 4])
    told.cardinality = told.cardinality or ([1] if told.quick else [1, 2])
    return told


def main() -> None:
    told = arguments()
    device = torch.device(told.device)
    torch.set_num_threads(told.threads)
    name = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"CPU, {told.threads} thread(s)"
    )
    print(
        f"torch {torch.__version__}, {name}, batch {told.batch}, {told.rounds} rounds"
    )
    print(
        f"{'':41s}  {'whole module, ms':37s}     x  {'attention adds, ms':37s}    of  saved, MiB"
    )
    sides = f"{'theirs':16s}  {'ours':16s}"
    print(
        f"{'stage, channels, side':41s}  {sides}    times  {sides}  theirs  theirs  ours"
    )
    dtypes = (
        [torch.float32, torch.bfloat16] if device.type == "cuda" else [torch.float32]
    )
    cases = [
        Case(*values)
        for values in product(
            told.stages, told.radix, told.cardinality, FORMATS, dtypes
        )
    ]
    results: dict[Case, Result] = {}
    for number, case in enumerate(cases, start=1):
        print(f"{number}/{len(cases)} ...", end="\r", file=sys.stderr, flush=True)
        results[case] = measure(case, told.batch, told.rounds, device)
        print(f"{case}  {results[case]}", flush=True)
    print(verdict(results))


def verdict(results: dict[Case, Result]) -> str:
    """The figures wanted: at stages 1 and 2 with radix 2 at most half of theirs, slower nowhere."""
    slowest = min(result.speedup for result in results.values())
    line = f"whole module at least {slowest:.2f} times as fast as theirs (wanted: 1.00)"
    early = [
        result.added
        for case, result in results.items()
        if case.stage <= 2 and case.radix == 2
    ]
    if early:
        added = f"attention adds at most {max(early):.2f} of what it adds in theirs (wanted: 0.50)"
        line = f"stages 1 and 2, radix 2: {added}; everywhere: {line}"
    return line


if __name__ == "__main__":
    main()
