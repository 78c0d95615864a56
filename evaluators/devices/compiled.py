"""``torch.compile`` for each block of a network, instead of the network as a whole.

Equal blocks share their kernels, also with those of other networks: torch keeps what it has compiled in
``TORCHINDUCTOR_CACHE_DIR`` (else in its own folder under /tmp), where all trials of a machine find it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from search_spaces import Network

Backend = Callable[..., Callable[..., Any]]
"""As ``torch.compile`` takes one."""
MODES = 4
"""Kernels that one block may need: training and evaluation, a full batch and the last."""


def compile_blocks(model: nn.Module, backend: str | Backend = "inductor") -> None:
    """Have the blocks of a ``Network`` compiled when they first run; of any other model, the whole.

    Networks that this process compiled earlier lose their kernels, and would have to load them again.
    """
    stages = model.stages if isinstance(model, Network) else [nn.Sequential(model)]
    blocks = [block for stage in stages for block in stage.children()]
    # all blocks are compiled from the same ``forward``, and beyond so many variants torch would run it uncompiled
    torch.compiler.reset()
    limit = torch._dynamo.config.recompile_limit
    torch._dynamo.config.recompile_limit = max(limit, MODES * len(blocks))
    for block in blocks:
        block.compile(backend=backend, dynamic=False)
