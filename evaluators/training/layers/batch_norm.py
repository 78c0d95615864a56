"""Statistics of batch norms, measured with the weights as they are."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@torch.inference_mode()
def recalibrate(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Take the norms' means and variances anew, averaged over the images; the model is left in training mode.

    The moving averages of a short training belong to weights long gone and hide what the network has learnt
    (precise BN; Wu and Johnson 2021, "Rethinking 'Batch' in BatchNorm").
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
    model.train()
    seen = 0
    for images in batches:
        seen += len(images)
        for norm in norms:
            norm.momentum = len(images) / seen  # so every image counts the same
        model(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
