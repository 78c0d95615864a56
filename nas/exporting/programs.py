"""Networks as programs that run without this package, each compared with its network before it is kept."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from search_spaces import Network, Task

TOLERANCE = 1e-4
"""What logits may differ by, of the largest where that is above 1."""
ROUNDINGS = 4
"""Or how many times as far from the network in float64 as the network in float32 is: some amplify rounding."""


@dataclass(frozen=True)
class Check:
    """How far a program's logits are from the network's, and what the program took to make.

    ``rounding`` is how far the network's own logits are from those that it has in float64.
    """

    max_difference: float
    rounding: float
    largest_logit: float
    seconds: float
    megabytes: float


def to_program(network: Network) -> ExportedProgram:
    """The network in eval mode as a program of plain operators, for batches of any size.

    Raises:
        ValueError: if torch cannot follow the network, one with blocks of the user's own, say.
    """
    task = network.task
    # two: torch.export takes a batch of one for a constant
    images = torch.zeros(2, task.channels, task.resolution, task.resolution)
    with _quiet(), _named("torch.export"):
        return torch.export.export(
            network.eval(), (images,), dynamic_shapes=({0: Dim("batch")},)
        )


def save_program(program: ExportedProgram, path: Path, network: Network) -> Check:
    """Write a ``torch.export`` program without pickled parts, read it back and compare.

    Raises:
        ValueError: if its logits differ from the network's by more than the tolerance.
    """
    started = perf_counter()
    program.example_inputs = None  # would be stored as a pickle
    with _quiet():
        torch.export.save(program, path)
        module = torch.export.load(path).module()
    return _check(path, network, module, started)


def save_onnx(program: ExportedProgram, path: Path, network: Network) -> Check:
    """Write the program as one ONNX file, run it with onnxruntime and compare.

    Input ``images`` (batch, channels, resolution, resolution) float32, output ``logits`` (batch, classes).

    Raises:
        ImportError: if the export libraries are not installed.
        ValueError: if its logits differ from the network's by more than the tolerance.
    """
    runtime = onnx_runtime()
    started = perf_counter()
    with _quiet(), _named("torch.onnx"):
        onnx = torch.onnx.export(
            program,
            dynamo=True,
            input_names=["images"],
            output_names=["logits"],
            verbose=False,
        )
    assert onnx is not None  # noqa: S101 - None only where a file name was given
    onnx.save(str(path), external_data=False)
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(images: Tensor) -> Tensor:
        return torch.from_numpy(
            np.asarray(session.run(None, {"images": images.numpy()})[0])
        )

    return _check(path, network, run, started)


def onnx_runtime() -> Any:
    """The module ``onnxruntime``; ``ImportError`` says what to install if one of ONNX's libraries is missing."""
    try:
        # torch.onnx imports them late, and names only the first
        for name in (
            "onnx",
            "onnxscript",
        ):
            import_module(name)
        return import_module("onnxruntime")
    except ImportError as error:
        raise ImportError(
            f"ONNX needs {error.name}, which is not installed: pip install 'splitsearch[export]', or leave it "
            "out with --no-onnx"
        ) from error


def _check(
    path: Path, network: Network, run: Callable[[Tensor], Tensor], started: float
) -> Check:
    seconds = perf_counter() - started
    # in float64 rounding hardly counts: what is left is the program's own error
    exact = deepcopy(network).double()
    difference = largest = rounding = error = 0.0
    for images in _unseen(network.task):
        with torch.inference_mode():
            truth = exact(images.double())
            expected = network(images)
            found = run(images)
        largest = max(largest, truth.abs().max().item())
        rounding = max(rounding, _distance(expected, truth))
        error = max(error, _distance(found, truth))
        difference = max(difference, _distance(found, expected))
    # NaN is neither
    if not (
        difference <= TOLERANCE * max(1.0, largest) or error <= ROUNDINGS * rounding
    ):
        raise ValueError(
            f"{path.name}: its logits differ from the network's by {difference:.2g}, more than {TOLERANCE:g} "
            f"of the largest, {largest:.3g}, and than float32 explains; it was not kept"
        )
    return Check(difference, rounding, largest, seconds, path.stat().st_size / 1e6)


def _unseen(task: Task) -> Iterator[Tensor]:
    """Images by batches of sizes that the export did not see; one alone is where a fixed batch shows."""
    generator = torch.Generator().manual_seed(0)
    for batch in (1, 3):
        yield torch.randn(
            batch, task.channels, task.resolution, task.resolution, generator=generator
        )


def _distance(a: Tensor, b: Tensor) -> float:
    return (a - b).abs().max().item()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's remarks about its own deprecations and about libraries not used here."""
    logs = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)


@contextmanager
def _named(exporter: str) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # the base of all that torch's exporters raise
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"{exporter} cannot follow this network ({reason:.200}); --no-onnx --no-program write the rest"
        ) from error
