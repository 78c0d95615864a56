"""Runs parts one after the other, each in a process of its own, and keeps a JSON line of each in a file.

Processes are forked after torch is imported and before CUDA is touched: they start at once, and one that hangs,
crashes or ruins its CUDA context takes nothing with it.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
import torch._dynamo  # the first optimiser imports it, in seconds: once here, for all the processes

from benchmarks.gpu.setting import Figures, MissingError, Part, Setting
from evaluators.devices.device import device_name
from evaluators.training.memory import is_out_of_memory

DEVICE_SECONDS = 120.0
LEAST_SECONDS = 5.0
"""With less left for it, a part is not begun."""
OWN = Path(__file__).parents[2]


@dataclass(frozen=True)
class Row:
    """What came of a part: ``figures``, or ``reason`` why there are none."""

    part: str
    status: str
    figures: Figures
    reason: str
    seconds: float
    device: str
    torch: str
    tiny: bool

    @property
    def settled(self) -> bool:
        """Measured; what is missing may be there by the next try, and asking costs nothing."""
        return self.status == "measured"


def run_all(
    parts: Sequence[Part],
    setting: Setting,
    file: Path,
    minutes: float,
    tell: Callable[[Row], None],
) -> list[Row]:
    """The rows of ``parts``, those that ``file`` has of the same device and torch as they are.

    Raises:
        MissingError: before anything is written, if the device is not there or cannot be used.
    """
    deadline = perf_counter() + 60 * minutes
    rows = []
    status, answer, reason = _in_process(_name, setting, DEVICE_SECONDS)
    if status != "measured":
        raise MissingError(reason)
    name = str(answer["name"])
    file.parent.mkdir(parents=True, exist_ok=True)
    for part in parts:
        known = _known(file, part.name, name, setting.tiny)
        rows.append(known or _measured(part, setting, name, deadline - perf_counter()))
        if known is None and rows[-1].status != "not reached":
            _append(file, rows[-1])
        tell(rows[-1])
    return rows


def _append(file: Path, row: Row) -> None:
    """A line of its own, even behind one that a kill cut short."""
    before = file.read_bytes() if file.exists() else b""
    cut = bool(before) and not before.endswith(b"\n")
    with file.open("a") as lines:
        lines.write("\n" * cut + json.dumps(asdict(row)) + "\n")


def read_rows(file: Path) -> list[Row]:
    """The last row of every part, in the order of the file; a line cut short by a kill is left out."""
    rows: dict[tuple[str, str, str, bool], Row] = {}
    for line in file.read_text().splitlines() if file.exists() else []:
        with suppress(json.JSONDecodeError):
            row = Row(**json.loads(line))
            rows[row.part, row.device, row.torch, row.tiny] = row
    return list(rows.values())


def _known(file: Path, part: str, device: str, tiny: bool) -> Row | None:
    mine = (part, device, torch.__version__, tiny)
    return next(
        (
            row
            for row in read_rows(file)
            if (row.part, row.device, row.torch, row.tiny) == mine and row.settled
        ),
        None,
    )


def _measured(part: Part, setting: Setting, device: str, left: float) -> Row:
    seconds = min(float(part.limit), left)
    started = perf_counter()
    if left < LEAST_SECONDS:
        status, figures, reason = "not reached", {}, "the time for the whole was up"
    else:
        told = replace(setting, seconds=seconds)
        status, figures, reason = _in_process(part.run, told, seconds)
    took = round(perf_counter() - started, 1)
    return Row(
        part.name,
        status,
        figures,
        reason,
        took,
        device,
        torch.__version__,
        setting.tiny,
    )


Outcome = tuple[str, dict[str, Any], str]


def _in_process(
    run: Callable[[Setting], Figures], setting: Setting, seconds: float
) -> Outcome:
    """Status, figures and reason of a call in a forked process; it is killed with its children in the end."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(run, setting, there))
    process.start()
    there.close()
    try:
        if not here.poll(seconds):
            return "out of time", {}, f"not done after {seconds:.0f} s"
        outcome: Outcome = here.recv()
        return outcome
    except EOFError:
        process.join()
        return "failed", {}, f"the process died ({_death(process.exitcode or 0)})"
    finally:
        with suppress(ProcessLookupError):  # its children have its group
            os.killpg(process.pid or 0, signal.SIGKILL)
        process.join()


def _death(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _work(run: Callable[[Setting], Figures], setting: Setting, out: Connection) -> None:
    os.setsid()
    try:
        if setting.cuda and not torch.cuda.is_available():
            raise MissingError(
                f"needs a GPU: torch {torch.__version__} sees none; --dry-run runs on the CPU"
            )
        out.send(("measured", dict(run(setting)), ""))
    except MissingError as missing:
        out.send(("missing", {}, str(missing)))
    except Exception as error:  # whatever goes wrong is this row's answer
        status = "out of memory" if is_out_of_memory(error) else "failed"
        out.send((status, {}, own_line(error)))


def own_line(error: BaseException) -> str:
    """The error in one line, with the last place of ours that it came from."""
    ours = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(OWN) and ".venv" not in frame.filename
    ]
    where = (
        f" ({Path(ours[-1].filename).relative_to(OWN)}:{ours[-1].lineno})"
        if ours
        else ""
    )
    words = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {words}{where}"


def _name(setting: Setting) -> Figures:
    torch.zeros(1, device=setting.device)  # it answers
    return {"name": device_name(setting.device)}
