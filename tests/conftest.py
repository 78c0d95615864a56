"""Workers share the cores: more threads than cores make torch many times slower."""

from __future__ import annotations

import os

import torch

if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))
