"""Rows as a Markdown page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.gpu.runner import Row, read_rows
from benchmarks.gpu.setting import Figures, Part

NOTHING = """# On a GPU

Nothing of this project has run on a GPU yet. `make gpu-check` runs all there is to know in 40 minutes and writes
this page; `make gpu-check DRY=1` runs the same code on the CPU, on small things.
"""


def page(file: Path, parts: Sequence[Part]) -> str:
    """The page of docs/evidence: a table for every device and version of torch in the file, dry runs left out."""
    rows = [row for row in read_rows(file) if not row.tiny]
    if not rows:
        return NOTHING
    sections = [
        f"## {device}, torch {version}\n\n"
        + table(
            [row for row in rows if (row.device, row.torch) == (device, version)], parts
        )
        for device, version in dict.fromkeys((row.device, row.torch) for row in rows)
    ]
    return (
        "# On a GPU\n\nWritten by `make gpu-check`; each row is a process of its own.\n\n"
        + "\n".join(sections)
    )


def table(rows: Sequence[Row], parts: Sequence[Part]) -> str:
    goals = {part.name: part.goals for part in parts}
    lines = ["| part | found | wanted | seconds |", "|---|---|---|---|"]
    for row in rows:
        found = figures(row.figures) if row.status == "measured" else why(row)
        wanted = [
            f"{goal}: {'met' if goal.met(row.figures) else '**missed**'}"
            if row.figures and not row.tiny
            else str(goal)
            for goal in goals.get(row.part, ())
        ]
        cells = row.part, found, "; ".join(wanted), f"{row.seconds:g}"
        lines.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def figures(values: Figures) -> str:
    return (
        ", ".join(
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in values.items()
        )
        or "holds"
    )


def why(row: Row) -> str:
    return f"{row.status}: {row.reason}"
