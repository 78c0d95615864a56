"""All there is to know about a GPU, in one command and 40 minutes: first what must hold, then measurements.

    python -m benchmarks.gpu --data CIFAR                  # on a GPU; called again, it goes on where it stopped
    python -m benchmarks.gpu --dry-run                     # the same code on the CPU, on small things
    python -m benchmarks.gpu --dry-run --device cuda       # the same on a GPU, in minutes: what breaks at once?
    python -m benchmarks.gpu --data CIFAR --only search --minutes 60

CIFAR is a folder with CIFAR-10. Needs torch, numpy, Pillow and pyarrow; a part that needs more says so in its row.
Rows go to docs/evidence/gpu.jsonl, and from there into docs/evidence/gpu.md; those of a dry run go nowhere but to
the file that --out names.
"""

from __future__ import annotations

import argparse
import fnmatch
import math
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.gpu.parts import PARTS
from benchmarks.gpu.runner import Row, run_all
from benchmarks.gpu.setting import MissingError, Part, Setting
from benchmarks.gpu.table import found, page

EVIDENCE = Path(__file__).parents[2] / "docs" / "evidence"
BAD = ("failed", "out of time", "out of memory")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, help="folder with CIFAR-10 [noise]")
    parser.add_argument("--device", help="[cuda; of a dry run cpu]")
    parser.add_argument("--minutes", type=float, default=40, help="for all of it [40]")
    parser.add_argument(
        "--only", nargs="+", default=["*"], help="names of parts, * allowed"
    )
    parser.add_argument("--out", type=Path, help="file of the rows, JSON lines")
    parser.add_argument("--dry-run", action="store_true", help="on small things")
    parser.add_argument("--list", action="store_true", help="names of the parts")
    return parser.parse_args()


def main() -> int:
    told = arguments()
    try:
        parts, setting = _parts(told.only), _setting(told)
        _check_out(told.out)
        if told.list:
            print("\n".join(part.name for part in parts))
            return 0
        with tempfile.TemporaryDirectory() as folder:
            # images and latencies; a run that is ended tidies up, too
            os.environ.setdefault("SPLITSEARCH_CACHE", folder)
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
            return _check(parts, setting, told, Path(folder))
    except (ValueError, MissingError) as wrong:
        print(wrong, file=sys.stderr)
        return 2


def _parts(patterns: Sequence[str]) -> list[Part]:
    names = [part.name for part in PARTS]
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            raise ValueError(f"--only: no part is called {pattern!r}; see --list")
    return [p for p in PARTS if any(fnmatch.fnmatchcase(p.name, o) for o in patterns)]


def _setting(told: argparse.Namespace) -> Setting:
    if told.data is not None and not told.data.is_dir():
        raise ValueError(f"--data: {told.data} is no folder")
    if not 0 < told.minutes < math.inf:
        raise ValueError(f"--minutes: {told.minutes:g} must be above 0")
    name = told.device or ("cpu" if told.dry_run else "cuda")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(
            f"--device: there is no {name!r}; use cuda or cuda:1"
        ) from None
    if device.type != "cuda" and not told.dry_run:
        raise ValueError(f"--device: {name} is no GPU; --dry-run runs on the CPU")
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", 0)
    return Setting(device, told.dry_run, told.data and told.data.absolute())


def _check_out(file: Path | None) -> None:
    if file is None:
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.open("a").close()
    except OSError as error:
        raise ValueError(f"--out: {file} cannot be written: {error.strerror}") from None


def _check(
    parts: list[Part], setting: Setting, told: argparse.Namespace, folder: Path
) -> int:
    file = told.out or (folder if told.dry_run else EVIDENCE) / "gpu.jsonl"
    if told.dry_run:
        print("a dry run: things are small, and no figure means anything", flush=True)
    rows = run_all(parts, setting, file, told.minutes, _print)
    if told.out is None and not told.dry_run:
        (EVIDENCE / "gpu.md").write_text(page(file, PARTS))
    counts = Counter(row.status for row in rows)
    print(", ".join(f"{count} {status}" for status, count in counts.items()))
    return int(any(row.status in BAD for row in rows))


def _print(row: Row) -> None:
    print(f"{row.part:24s} {row.seconds:6.1f} s  {found(row)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
