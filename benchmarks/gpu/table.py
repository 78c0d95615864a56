"""Rows as a Markdown page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.gpu.runner import Row, read_rows
from benchmarks.gpu.setting import Part

NOTHING = """# On a GPU

Nothing of this project has run on a GPU yet. `make gpu-check` runs all there is to know in 40 minutes and writes
this page; `make gpu-check DRY=1` runs the same code on the CPU, on small things. [What it runs, and what it
needs](../benchmarks.md#on-a-gpu).
"""


def page(file: Path, parts: Sequence[Part]) -> str:
    """The page of docs/evidence: a table for every device and version of torch in the file, dry runs left out."""
    rows = [row for row in read_rows(file) if not row.tiny]
    if not rows:
        return NOTHING
    sections = [
        _section(device, version, rows, parts)
        for device, version in dict.fromkeys((row.device, row.torch) for row in rows)
    ]
    return (
        "# On a GPU\n\nWritten by `make gpu-check`; each row is a process of its own.\n\n"
        + "\n".join(sections)
    )


def _section(
    device: str, version: str, rows: Sequence[Row], parts: Sequence[Part]
) -> str:
    own = [row for row in rows if (row.device, row.torch) == (device, version)]
    there = {row.part for row in own}
    absent = [part.name for part in parts if part.name not in there]
    named = f"\nNot run: {', '.join(absent)}.\n" if absent else ""
    return f"## {device}, torch {version}\n\n{table(own, parts)}{named}"


def table(rows: Sequence[Row], parts: Sequence[Part]) -> str:
    goals = {part.name: part.goals for part in parts}
    lines = ["| part | images | found | wanted | seconds |", "|---|---|---|---|---|"]
    for row in rows:
        wanted = [
            f"{goal}: {'met' if goal.met(row.figures) else '**missed**'}"
            if row.figures and not row.tiny
            else str(goal)
            for goal in goals.get(row.part, ())
        ]
        cells = row.part, row.data, found(row), "; ".join(wanted), f"{row.seconds:g}"
        lines.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def found(row: Row) -> str:
    """Its figures, or why there are none; a dry run on small things claims nothing to hold."""
    if row.status != "measured":
        return f"{row.status}: {row.reason}"
    if not row.figures:
        return "ran" if row.tiny else "holds"
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in row.figures.items()
    )
