"""What must hold of latency on a GPU, and of the lock that keeps trainers off it; see ``checks``."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic, sleep
from typing import Any

import torch

from benchmarks.gpu.checks import ARCH, RECIPE, TASK, grey
from benchmarks.gpu.processes import wait_for
from benchmarks.gpu.setting import Figures, MissingError, Setting, exact
from evaluators import Latency, measure_latency
from evaluators.devices.device import device_key
from evaluators.devices.lock import exclusive
from evaluators.devices.seeding import build_seeded
from evaluators.latency.nvml import gpu_state
from evaluators.latency.timing import captured
from evaluators.training.engine import Training
from search_spaces import build


def latency(**options: Any) -> Callable[[Setting], Figures]:
    """A latency measured so: positive, certain, with the memory it took, and the clocks if NVML tells."""

    def check(setting: Setting) -> Figures:
        if options and not setting.cuda:
            raise MissingError("needs a GPU: graphs are CUDA's, compiling takes long")
        result = measure_latency(
            build(ARCH, TASK),
            TASK,
            str(setting.device),
            batch_size=8,
            max_seconds=setting.size(1.0, 0.1),
            max_load=1.0,
            interval=setting.size(0.02, 1.0),
            **options,
        )
        assert 0 < result.min_ms <= result.median_ms, result
        if setting.cuda:
            assert (result.memory_mb or 0) > 0, "no memory told"
            assert torch.cuda.get_device_name(setting.device) in result.device
        return {"median_ms": result.median_ms, "interval": result.interval}

    return check


def graph_output(setting: Setting) -> Figures:
    """What a recorded network puts out is what it puts out eagerly."""
    if not setting.cuda:
        raise MissingError("needs a GPU: graphs are CUDA's")
    model = build(ARCH, TASK).to(setting.device).eval()
    images = torch.randn(2, 3, 16, 16, device=setting.device)
    with torch.inference_mode(), exact():
        replay = captured(lambda: model(images))
        images.copy_(torch.randn_like(images))
        assert torch.equal(torch.as_tensor(replay()), model(images)), "they differ"
    return {}


def clocks(setting: Setting) -> Figures:
    """NVML finds the card that torch calculates on."""
    state = gpu_state(setting.device)
    if not state:
        raise MissingError("needs a GPU and nvidia-ml-py: NVML tells nothing")
    assert state["temperature_c"] > 0, state
    return state


def evaluator(setting: Setting) -> Figures:
    """The evaluator yields every metric that it names, the device's memory with them."""
    measure = Latency(
        TASK, device=str(setting.device), max_seconds=0.1, interval=1.0, max_load=1.0
    )
    row = next(measure.evaluate(ARCH))
    assert row.keys() >= set(measure.metrics), row.keys()
    return {}


def lock(setting: Setting) -> Figures:
    """A measurement gets the device within seconds while two processes train on it, and has it alone."""
    with training_beside(setting, 2) as steps:
        asked = monotonic()
        with exclusive(setting.device):
            waited = monotonic() - asked
            before = [count.value for count in steps]
            sleep(setting.size(1.0, 0.3))
            after = [count.value for count in steps]
    assert waited < 5, f"waited for {waited:.1f} s"
    assert before == after, f"trainers went on: {before}, {after}"
    return {"waited_s": waited, "key": device_key(setting.device)}


@contextmanager
def training_beside(setting: Setting, count: int) -> Iterator[list[Any]]:
    """``count`` processes that train on the device inside the block, and the steps that each has taken."""
    context = multiprocessing.get_context("spawn")
    steps = [context.Value("q", 0) for _ in range(count)]
    trainers = [
        context.Process(target=_train_on, args=(str(setting.device), taken))
        for taken in steps
    ]
    for trainer in trainers:
        trainer.start()
    try:
        wait_for(lambda: all(taken.value > 2 for taken in steps), trainers)
        yield steps
    finally:
        for trainer in trainers:
            trainer.kill()
            trainer.join()


def _train_on(device: str, steps: Any) -> None:
    torch.set_num_threads(1)
    where = torch.device(device)
    recipe = replace(RECIPE, epochs=1_000_000, cuda_graph=False)
    training = Training(build_seeded(ARCH, TASK, 0), grey(where), recipe, where)

    def count(*_: object) -> None:
        steps.value += 1

    training.model.register_forward_hook(count)
    while True:
        training.next_epoch()
