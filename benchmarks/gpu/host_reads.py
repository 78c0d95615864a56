"""What makes the host wait for a GPU, counted on any device: also where there is no GPU to wait for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

READING = {"_local_scalar_dense", "is_nonzero", "equal"}
DECIDING = {"nonzero", "masked_select", "unique2", "unique_dim", "bincount"}
"""Operators whose result has a size that only the values tell."""
COPYING = {Tensor.tolist, Tensor.numpy, Tensor.cpu}
"""What never reaches an operator where the values are in the host's memory anyway."""


class HostReads:
    """Inside the block, ``names`` gathers every operation that on a GPU would wait for its results.

    Numbers drawn by a generator of the CPU are the host's own: reading them counts for nothing.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self._modes = _Operators(self.names), _Calls(self.names)

    def __enter__(self) -> Self:
        for mode in self._modes:
            mode.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for mode in reversed(self._modes):
            mode.__exit__(kind, error, traceback)


class _Operators(TorchDispatchMode):
    """Sees what autograd and torch's own C++ call, too."""

    def __init__(self, names: list[str]) -> None:
        super().__init__()
        self._names = names
        self._drawn: list[Tensor] = []  # kept, or their memory would be used again

    def __torch_dispatch__(
        self,
        function: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        name = function.overloadpacket.__name__
        given = [*args, *kwargs.values()]
        if any(isinstance(value, torch.Generator) for value in given):
            self._drawn.append(result)
        elif name in READING and _address(args[0]) in map(_address, self._drawn):
            pass
        elif name in READING | DECIDING or (name == "index" and _masks(args[1])):
            self._names.append(name)
        return result


def _address(values: Tensor) -> int:
    return values.untyped_storage().data_ptr()


def _masks(indices: Sequence[Tensor | None]) -> bool:
    return any(index is not None and index.dtype == torch.bool for index in indices)


class _Calls(TorchFunctionMode):
    def __init__(self, names: list[str]) -> None:
        super().__init__()
        self._names = names

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if function in COPYING:
            self._names.append(function.__name__)
        return function(*args, **(kwargs or {}))
