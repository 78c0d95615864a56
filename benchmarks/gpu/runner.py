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
from dataclasses import asdict, dataclass, fields, replace
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
import torch._dynamo  # the first optimiser imports it, in seconds: once here, for all the processes

from benchmarks.gpu.processes import death, lead_group_until_end_of
from benchmarks.gpu.setting import Figures, MissingError, Part, Setting
from evaluators.devices.device import device_name, resolve_device
from evaluators.training.memory import is_out_of_memory

DEVICE_SECONDS = 120.0
LEAST_SECONDS = 5.0
"""With less left for it, a part is not begun."""
DRY_LIMITS = 10
"""A dry run asks whether the code runs, not how fast: it waits so many times as long for a busy CPU."""
OWN = Path(__file__).parents[2]


@dataclass(frozen=True)
class Row:
    """What came of a part: ``figures``, or ``reason`` why there are none.

    ``data`` names the images, if the part has any.
    """

    part: str
    status: str
    figures: Figures
    reason: str
    seconds: float
    data: str
    device: str
    torch: str
    tiny: bool

    @property
    def settled(self) -> bool:
        """Measured; what is missing may be there by the next try, and asking costs nothing."""
        return self.status == "measured"

    @property
    def key(self) -> tuple[str, str, str, str, bool]:
        """Rows with the same one answer the same question; the last is the answer."""
        return self.part, self.data, self.device, self.torch, self.tiny


def run_all(
    parts: Sequence[Part],
    setting: Setting,
    file: Path,
    minutes: float,
    tell: Callable[[Row], None],
) -> list[Row]:
    """The rows of ``parts``: those that ``file`` already has, and new ones.

    A part is not begun if it would take time that is reserved for later ones; it comes after these, if time is
    left then.

    Raises:
        MissingError: before anything is written, if the device is not there or cannot be used.
        ValueError: if ``file`` has lines that are no rows.
    """
    whole = 60 * minutes
    deadline = perf_counter() + whole
    before = {row.key: row for row in read_rows(file)}
    status, answer, reason = _in_process(_name, setting, DEVICE_SECONDS)
    if status != "measured":
        raise MissingError(reason)
    device = str(answer["name"])
    file.parent.mkdir(parents=True, exist_ok=True)

    def row_of(part: Part, reserved: float) -> Row:
        row = _not_reached(part, setting, device)
        known = before.get(row.key)
        if known is not None and known.settled:
            return known
        left = deadline - perf_counter() - reserved
        if left < LEAST_SECONDS:
            return row
        row = _measured(part, setting, row, left)
        _append(file, row)
        return row

    rows: dict[str, Row] = {}
    for place, part in enumerate(parts):
        kept = whole * sum(later.reserved for later in parts[place + 1 :])
        rows[part.name] = row_of(part, kept)
        if rows[part.name].status != "not reached":
            tell(rows[part.name])
    for part in parts:
        if rows[part.name].status == "not reached":
            rows[part.name] = row_of(part, 0.0)
            tell(rows[part.name])
    return list(rows.values())


def _append(file: Path, row: Row) -> None:
    """A line of its own, even behind one that a kill cut short."""
    before = file.read_bytes() if file.exists() else b""
    cut = bool(before) and not before.endswith(b"\n")
    with file.open("a") as lines:
        lines.write("\n" * cut + json.dumps(asdict(row)) + "\n")


def read_rows(file: Path) -> list[Row]:
    """The last row of every key, in the order of the file; a line cut short by a kill is left out.

    Raises:
        ValueError: for a line that is no row, naming it.
    """
    rows: dict[tuple[str, str, str, str, bool], Row] = {}
    lines = file.read_text().splitlines() if file.exists() else []
    for number, line in enumerate(lines, start=1):
        with suppress(json.JSONDecodeError):
            row = _row(json.loads(line), f"{file}, line {number}")
            rows[row.key] = row
    return list(rows.values())


def _row(values: object, where: str) -> Row:
    names = [field.name for field in fields(Row)]
    if not isinstance(values, dict) or sorted(values) != sorted(names):
        raise ValueError(
            f"{where}: no row of this check, whose fields are {', '.join(names)}; delete it"
        )
    if not isinstance(values["figures"], dict):
        raise ValueError(f"{where}: figures must be a mapping; delete the line")
    return Row(**values)


def _not_reached(part: Part, setting: Setting, device: str) -> Row:
    return Row(
        part=part.name,
        status="not reached",
        figures={},
        reason="the time for the whole was up",
        seconds=0.0,
        data=setting.data_name if part.images else "",
        device=device,
        torch=torch.__version__,
        tiny=setting.tiny,
    )


def _measured(part: Part, setting: Setting, row: Row, left: float) -> Row:
    limit = part.limit * setting.size(1, DRY_LIMITS)
    seconds = min(float(limit), left)
    data = setting.data if part.images else None
    told = replace(setting, seconds=seconds, data=data)

    def run(setting: Setting) -> Figures:
        if setting.cuda:
            torch.cuda.set_device(setting.device)  # streams and events are made there
        return part.run(setting)

    started = perf_counter()
    status, figures, reason = _in_process(run, told, seconds)
    took = round(perf_counter() - started, 1)
    return replace(row, status=status, figures=figures, reason=reason, seconds=took)


Outcome = tuple[str, dict[str, Any], str]


def _in_process(
    run: Callable[[Setting], Figures], setting: Setting, seconds: float
) -> Outcome:
    """Status, figures and reason of a call in a forked process; it is killed with its children in the end."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    lifeline, held = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(run, setting, there, lifeline, held))
    process.start()
    for end in (there, lifeline):
        end.close()
    try:
        if not here.poll(seconds):
            return "out of time", {}, f"not done after {seconds:.0f} s"
        outcome: Outcome = here.recv()
        return outcome
    except EOFError:
        process.join()
        return "failed", {}, f"the process died ({death(process.exitcode or 0)})"
    finally:
        with suppress(ProcessLookupError):  # its children have its group
            os.killpg(process.pid or 0, signal.SIGKILL)
        process.kill()
        process.join()
        held.close()


def _work(
    run: Callable[[Setting], Figures],
    setting: Setting,
    out: Connection,
    lifeline: Connection,
    held: Connection,
) -> None:
    held.close()  # the runner alone holds it from now on
    lead_group_until_end_of(lifeline)
    try:
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
    try:
        device = resolve_device(str(setting.device))
    except ValueError as error:
        raise MissingError(f"--device: {error}") from None
    torch.zeros(1, device=device)  # it answers
    return {"name": device_name(device)}
