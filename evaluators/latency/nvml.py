"""What NVML tells about a GPU while it is measured; needs nvidia-ml-py, without which nothing is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def gpu_state(device: torch.device) -> dict[str, float]:
    """Clocks (MHz), temperature (degrees Celsius) and power (W) of a CUDA device now, as far as it tells.

    Empty on the CPU and where nvidia-ml-py or NVIDIA's driver library is missing. ``throttled`` is 1 while
    heat or power holds the clocks down.
    """
    if device.type != "cuda":
        return {}
    try:
        import pynvml
    except ImportError:
        return {}
    try:
        # counted: every init has its shutdown, so others' use of NVML stays
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return {}
    try:
        return _read(pynvml, _handle(pynvml, device))
    except pynvml.NVMLError:
        return {}
    finally:
        pynvml.nvmlShutdown()


def _handle(pynvml: Any, device: torch.device) -> Any:
    """By UUID: CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER renumber torch's devices, not NVML's."""
    uuid = str(torch.cuda.get_device_properties(device).uuid)
    return pynvml.nvmlDeviceGetHandleByUUID(
        uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}"
    )


def _slowing(pynvml: Any) -> int:
    """The bits of NVML's reasons that say heat or power; a user's own limit is none."""
    heat = (
        pynvml.nvmlClocksThrottleReasonHwThermalSlowdown
        | pynvml.nvmlClocksThrottleReasonSwThermalSlowdown
    )
    power = (
        pynvml.nvmlClocksThrottleReasonSwPowerCap
        | pynvml.nvmlClocksThrottleReasonHwPowerBrakeSlowdown
    )
    return int(heat | power)


def _read(pynvml: Any, handle: Any) -> dict[str, float]:
    clock = pynvml.nvmlDeviceGetClockInfo
    temperature = pynvml.nvmlDeviceGetTemperature
    reasons = pynvml.nvmlDeviceGetCurrentClocksThrottleReasons
    questions: dict[str, Callable[[], float]] = {
        "sm_clock_mhz": lambda: clock(handle, pynvml.NVML_CLOCK_SM),
        "memory_clock_mhz": lambda: clock(handle, pynvml.NVML_CLOCK_MEM),
        "temperature_c": lambda: temperature(handle, pynvml.NVML_TEMPERATURE_GPU),
        # NVML tells milliwatts
        "power_w": lambda: pynvml.nvmlDeviceGetPowerUsage(handle) / 1000,
        "throttled": lambda: int(bool(reasons(handle) & _slowing(pynvml))),
    }
    state = {}
    for name, ask in questions.items():
        try:
            state[name] = float(ask())
        except pynvml.NVMLError:  # not every card answers every question
            continue
    return state
