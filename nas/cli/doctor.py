"""What a search would find here: packages, devices, threads, disks, and how to mend what is wrong."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console

from evaluators.data.user_cache import cache_folder
from evaluators.devices.device import device_name
from evaluators.latency.cores import allowed_cores
from nas.cli.version import installed, version_line

CORE_PACKAGES = ("torch", "numpy", "optuna", "pandas", "moocore")
EXTRAS = {
    "ray": (("ray",), "trials in parallel and on clusters; without it: --serial"),
    "export": (
        ("onnx", "onnxruntime", "onnxscript"),
        "ONNX; without it: export --no-onnx",
    ),
    "hub": (("huggingface_hub",), "push and load"),
    "augment": (("kornia",), "augment: {rand_augment: ...}"),
    "excel": (("openpyxl",), "tables as .xlsx"),
}
"""Optional parts: their packages, and what they are for."""
LOW_DISK_GIGABYTES = 2.0


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's; ``fix`` says what to do about it, and is empty where all is well."""

    name: str
    value: str
    fix: str = ""


def print_findings(console: Console) -> None:
    """One line per finding, to read and to paste into a bug report."""
    for finding in examine():
        lines = [f"{finding.name:<14}{finding.value}"]
        if finding.fix:
            lines.append(f"{'':<14}-> {finding.fix}")
        for line in lines:
            console.print(line, soft_wrap=True)


def examine() -> list[Finding]:
    """Everything that decides whether a search can run here, in the order to look at it."""
    return [
        Finding("splitsearch", version_line().removeprefix("splitsearch ")),
        Finding("Python", f"{platform.python_version()} on {platform.platform()}"),
        *_packages(),
        *_devices(),
        _threads(),
        *_disks(),
        _locale(),
    ]


def _packages() -> Iterator[Finding]:
    for name in CORE_PACKAGES:
        number = installed(name)
        yield Finding(
            name, number or "missing", "" if number else "pip install splitsearch"
        )
    for extra, (packages, purpose) in EXTRAS.items():
        if missing := [name for name in packages if not installed(name)]:
            value = f"{', '.join(missing)} missing ({purpose})"
            yield Finding(f"[{extra}]", value, f"pip install 'splitsearch[{extra}]'")
        else:
            versions = (f"{name} {installed(name)}" for name in packages)
            yield Finding(f"[{extra}]", ", ".join(versions))


def _devices() -> Iterator[Finding]:
    yield Finding("CPU", device_name(torch.device("cpu")))
    for index in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(index)
        yield Finding(
            f"cuda:{index}", f"{facts.name}, {facts.total_memory / 2**30:.0f} GiB"
        )
    if torch.cuda.device_count() == 0:
        built = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPUs only"
        yield Finding("GPU", f"none seen; torch is built for {built}")


def _threads() -> Finding:
    threads = torch.get_num_threads()
    usable = allowed_cores()
    value = f"torch uses {threads} of {usable} usable cores ({os.cpu_count()} in all)"
    crowded = f"export OMP_NUM_THREADS={usable}: more threads than cores are many times slower"
    return Finding("threads", value, crowded if threads > usable else "")


def _disks() -> Iterator[Finding]:
    cache = cache_folder(None)
    yield _disk(
        "run folders",
        Path.cwd(),
        "search in a folder with more room, or name one with --out",
    )
    yield _disk(
        "image cache",
        cache,
        "name a folder with more room: export SPLITSEARCH_CACHE=DIR",
    )


def _disk(name: str, folder: Path, fix: str) -> Finding:
    upwards = (folder, *folder.parents)
    there = next(parent for parent in upwards if parent.exists())
    try:
        # only writing shows whether one may write: permissions do not tell of quotas
        with tempfile.TemporaryFile(dir=there):
            free = shutil.disk_usage(there).free / 1e9
    except OSError as error:
        return Finding(name, f"{folder} cannot be written: {error.strerror}", fix)
    return Finding(
        name, f"{folder}, {free:.1f} GB free", fix if free < LOW_DISK_GIGABYTES else ""
    )


def _locale() -> Finding:
    encoding = sys.stdout.encoding or "none"
    return Finding(
        "terminal", f"TERM {os.environ.get('TERM', 'unset')}, encoding {encoding}"
    )
