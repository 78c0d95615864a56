"""The device a number was measured on: which one, what it is called, when it is idle."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

import torch
from torch import Tensor


def known_device(name: str) -> torch.device:
    """``cpu``, ``cuda`` or ``cuda:1``, be it of another machine; ``ValueError`` for what is none of ours."""
    known = "use 'cpu', 'cuda' or 'cuda:<index>'"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"unknown device {name!r}; {known}") from None
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"device {name!r} is not supported; {known}")
    return device


def resolve_device(name: str) -> torch.device:
    """As a device of this machine; ``ValueError`` if it is not there."""
    device = known_device(name)
    if device.type == "cpu":
        return torch.device("cpu")
    count = torch.cuda.device_count()
    if not count:
        raise ValueError(
            f"there is no device {name!r}: torch {torch.__version__} sees no GPU; use 'cpu'"
        )
    index = torch.cuda.current_device() if device.index is None else device.index
    if index >= count:
        raise ValueError(f"there is no device {name!r}; use cuda:0 to cuda:{count - 1}")
    return torch.device("cuda", index)


def training_device(name: str) -> torch.device:
    """As ``resolve_device``; ``auto`` is a GPU where there is one, else the CPU."""
    if name != "auto":
        return resolve_device(name)
    return resolve_device("cuda" if torch.cuda.is_available() else "cpu")


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def sent(values: Tensor, device: torch.device) -> Tensor:
    """Few ``values`` of the CPU on the device, without waiting until it has done what it was given before."""
    if device.type == "cuda":
        # from pageable memory the copy would wait
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)


def device_key(device: torch.device) -> str:
    """One key for one physical device, whatever index the processes of a node know it by."""
    if device.type == "cuda":
        return f"cuda-{torch.cuda.get_device_properties(device).uuid}"
    return device.type


@cache
def device_name(device: torch.device) -> str:
    """The maker's name of the device, e.g. NVIDIA H100 80GB HBM3."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = (
        line.partition(":")[2].strip()
        for line in lines
        if line.startswith("model name")
    )
    return next(names, platform.processor() or platform.machine())
