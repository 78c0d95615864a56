"""Memory of a device: how much may be taken, how much was, and whether it ran out."""

from __future__ import annotations

import gc

import torch


def limit_memory(device: torch.device, fraction: float | None) -> None:
    """Let this process take no more than this share of a GPU's memory; None and the CPU know no limit.

    Raises:
        ValueError: for a share that is none.
    """
    if fraction is None:
        return
    if not 0 < fraction <= 1:
        raise ValueError(
            f"memory_fraction must lie above 0 and be at most 1; got {fraction}"
        )
    if device.type == "cuda":
        torch.cuda.set_per_process_memory_fraction(fraction, device)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this is torch's or Python's way to say so; on the CPU torch has no type for it."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "out of memory" in text or "can't allocate memory" in text
    )


def free_memory(device: torch.device) -> None:
    """Give back what nobody uses, after a failure that left large tensors in dead frames."""
    # a traceback holds the frames that hold the tensors
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> dict[str, float]:
    """``train_memory_mb``: the most (10^6 bytes) that tensors took since ``reset_peak``; nothing on the CPU."""
    if device.type != "cuda":
        return {}
    return {"train_memory_mb": torch.cuda.max_memory_allocated(device) / 1e6}
