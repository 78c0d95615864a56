"""torch's SGD without the compiler.

What torch decorates for ``torch.compile`` imports all of that with its first call, used or not: a second or two
and 70 MB in every worker, before its first epoch.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch


def _plain(name: str) -> Callable[..., Any]:
    """SGD's method as it was written, without its decorators."""
    method: Callable[..., Any] = inspect.unwrap(getattr(torch.optim.SGD, name))
    return method


class SGD(torch.optim.SGD):
    """As ``torch.optim.SGD`` in every number; what it does cannot be compiled."""

    add_param_group = _plain("add_param_group")
    zero_grad = _plain("zero_grad")
    state_dict = _plain("state_dict")
    load_state_dict = _plain("load_state_dict")
    step = torch.no_grad()(_plain("step"))
