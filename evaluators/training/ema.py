"""A moving average of the weights, evaluated instead of them."""

from __future__ import annotations

from copy import deepcopy

from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class Ema:
    """``model`` follows another with ``decay`` per update; its norms' statistics are the caller's to measure.

    The first updates decay faster, as in TensorFlow's ``ExponentialMovingAverage``: otherwise a training shorter
    than the average would be judged by the weights it began with.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = deepcopy(model).requires_grad_(False)
        self._decay = decay

    def update(self, model: nn.Module, updates: int) -> None:
        """``updates`` is how many came before."""
        early = (1 + updates) / (10 + updates)
        decay = min(self._decay, early)
        pairs = zip(self.model.parameters(), model.parameters(), strict=True)
        # all at once: one kernel for many parameters
        averaged, current = (list(side) for side in zip(*pairs, strict=True))
        get_ema_multi_avg_fn(decay)(averaged, current, None)
