"""Statistics of batch norms, measured with the weights as they are."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@torch.inference_mode()
def recalibrate(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Take the norms' means and variances anew, averaged over the batches; the model is left in training mode.

    The moving averages of a short training belong to weights long gone and hide what the network has learnt
    (precise BN; Wu and Johnson 2021, "Rethinking 'Batch' in BatchNorm").
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over the batches
    model.train()
    for images in batches:
        model(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
