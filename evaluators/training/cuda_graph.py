"""A training step recorded once as a CUDA graph and replayed, so that small networks do not wait for Python.

The steps that torch wants before a recording (a side stream, several runs) are steps of the training itself,
so nothing has to be undone: https://docs.pytorch.org/docs/stable/notes/cuda.html#whole-network-capture
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from evaluators.training.recipe import Recipe

EAGER_STEPS = 3


def why_eager(
    recipe: Recipe, device: torch.device, scaled: bool, processes: int
) -> str | None:
    """Why steps are not to be recorded, if so; ``scaled``: the loss is, against underflow."""
    reasons = {
        "there is no GPU": device.type != "cuda",
        "the recipe says so": not recipe.cuda_graph,
        # whether a scaled step is taken or skipped is decided on the host
        "float16 scales its loss step by step": scaled,
        "it is compiled": recipe.compile,
        "there are several processes": processes > 1,
    }
    return next((reason for reason, true in reasons.items() if true), None)


class Replayed:
    """``step`` for batches of the shape of the first; other batches go through ``step`` itself.

    A replay runs on the addresses of weights, gradients and optimiser state of the recording: make a new one
    when any of them is replaced. The loss returned is overwritten by the next call. ``state`` says in words
    whether steps are replayed, and if not, why.
    """

    def __init__(
        self, step: Callable[[Tensor, Tensor], Tensor], device: torch.device
    ) -> None:
        self.state = "not recorded yet"
        self._step = step
        self._device = device
        self._shapes: tuple[torch.Size, torch.Size] | None = None
        self._eager_left = EAGER_STEPS
        self._stream = torch.cuda.Stream(device)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._images = self._targets = self._loss = torch.empty(0)

    def __call__(self, images: Tensor, targets: Tensor) -> Tensor:
        shapes = images.shape, targets.shape
        # a graph knows one shape; the last batch of an epoch may be another
        self._shapes = self._shapes or shapes
        if shapes != self._shapes or self.state.startswith("off"):
            return self._step(images, targets)
        if self._eager_left:
            self._eager_left -= 1
            return self._warm_up(images, targets)
        self._graph = self._graph or self._record(images, targets)
        if self._graph is None:
            return self._step(images, targets)
        # the graph reads where it was recorded to read
        self._images.copy_(images, non_blocking=True)
        self._targets.copy_(targets, non_blocking=True)
        self._graph.replay()
        return self._loss

    def _warm_up(self, images: Tensor, targets: Tensor) -> Tensor:
        # torch wants a side stream here; the two wait for each other, so the order stays
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            loss = self._step(images, targets)
        current.wait_stream(self._stream)
        return loss

    def _record(self, images: Tensor, targets: Tensor) -> torch.cuda.CUDAGraph | None:
        """The step on buffers of its own, recorded without running it; None if it cannot be."""
        graph = torch.cuda.CUDAGraph()
        # addresses that stay: batches come and go
        self._images = images.clone()
        self._targets = targets.clone()
        try:
            # thread_local: other threads of the process may go on using the device
            recording = torch.cuda.graph(
                graph, stream=self._stream, capture_error_mode="thread_local"
            )
            with torch.cuda.device(self._device), recording:
                self._loss = self._step(self._images, self._targets)
        # the network synchronises, or memory is short: it trains without
        except RuntimeError as error:
            self.state = f"off: {' '.join(str(error).split())[:200]}"
            self._images = self._targets = torch.empty(0)
            return None
        self.state = "on"
        return graph
