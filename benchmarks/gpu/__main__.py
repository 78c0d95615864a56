"""All there is to know about a GPU, in one command and 40 minutes: first what must hold, then measurements.

    python -m benchmarks.gpu --data CIFAR                  # on a GPU; called again, it goes on where it stopped
    python -m benchmarks.gpu --dry-run                     # the same code on the CPU, on small things
    python -m benchmarks.gpu --data CIFAR --only search --minutes 60

CIFAR is a folder with CIFAR-10. Needs torch, numpy, Pillow and pyarrow; a part that needs more says so in its row.
Rows go to docs/evidence/gpu.jsonl, and from there into docs/evidence/gpu.md; those of a dry run go nowhere but to
the file that --out names.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from fnmatch import fnmatchcase
from pathlib import Path

import torch

from benchmarks.gpu.parts import PARTS
from benchmarks.gpu.runner import Row, run_all
from benchmarks.gpu.setting import MissingError, Part, Setting
from benchmarks.gpu.table import figures, page, why

EVIDENCE = Path(__file__).parents[2] / "docs" / "evidence"
BAD = ("failed", "out of time", "out of memory")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, help="folder with CIFAR-10 [noise]")
    parser.add_argument("--device", default="cuda", help="[cuda]")
    parser.add_argument("--minutes", type=float, default=40, help="for all of it [40]")
    parser.add_argument(
        "--only", nargs="+", default=["*"], help="names of parts, * allowed"
    )
    parser.add_argument("--out", type=Path, help="file of the rows, JSON lines")
    parser.add_argument(
        "--dry-run", action="store_true", help="on the CPU, on small things"
    )
    parser.add_argument("--list", action="store_true", help="names of the parts")
    return parser.parse_args()


def main() -> int:
    told = arguments()
    parts = [p for p in PARTS if any(fnmatchcase(p.name, only) for only in told.only)]
    if not parts:
        print(f"--only: no part is called {' or '.join(told.only)}; see --list")
        return 2
    if told.data is not None and not told.data.is_dir():
        print(f"--data: {told.data} is no folder")
        return 2
    if told.list:
        print("\n".join(part.name for part in parts))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("SPLITSEARCH_CACHE", folder)  # images and latencies
        return _check(parts, told, Path(folder))


def _check(parts: list[Part], told: argparse.Namespace, folder: Path) -> int:
    device = torch.device("cpu") if told.dry_run else torch.device(told.device)
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", 0)
    data = told.data and told.data.absolute()
    setting = Setting(device, told.dry_run, data)
    file = told.out or (folder if told.dry_run else EVIDENCE) / "gpu.jsonl"
    if told.dry_run:
        print("a dry run on the CPU: things are small, and no figure means anything")
    try:
        rows = run_all(parts, setting, file, told.minutes, _print)
    except MissingError as missing:
        print(missing)
        return 2
    if told.out is None and not told.dry_run:
        (EVIDENCE / "gpu.md").write_text(page(file, PARTS))
    counts = {row.status: 0 for row in rows}
    for row in rows:
        counts[row.status] += 1
    print(", ".join(f"{count} {status}" for status, count in counts.items()))
    return int(any(row.status in BAD for row in rows))


def _print(row: Row) -> None:
    found = figures(row.figures) if row.status == "measured" else why(row)
    print(f"{row.part:24s} {row.seconds:6.1f} s  {found}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
