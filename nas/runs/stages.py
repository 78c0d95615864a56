"""The stages of a network, for its drawing in the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from nas.runs.folder import task_of
from results import Run, load_run, write_report
from results.report.overlay import overlay
from search_spaces import Arch, Task, arch_from_dict
from search_spaces.blocks.residual import Block
from search_spaces.cost import Tally

StageTraits = dict[str, Any]


def stage_reader(
    run: Run,
) -> Callable[[Mapping[str, Any]], list[StageTraits] | None] | None:
    """What reads the stages of this run's architectures; None where the log does not say what the images are."""
    task = task_of(run.path)
    return None if task is None else lambda arch: _known_stages(arch, task)


def write_run_report(
    folder: Path, out: Path | None = None, against: str | None = None
) -> Path:
    """Write the report of the run in ``folder``, by default into it; returns where. Raises as ``load_run``."""
    run = load_run(folder)
    out = out or folder / "report.html"
    write_report(
        run,
        out,
        stages=stage_reader(run),
        against=overlay(run, against) if against else None,
    )
    return out


def _known_stages(arch: Mapping[str, object], task: Task) -> list[StageTraits] | None:
    try:
        return stages(arch_from_dict(arch), task)
    except (ValueError, ImportError):  # a user's own space that is not importable here
        return None


def stages(arch: Arch, task: Task) -> list[StageTraits]:
    """Stem and stages in order: ``name``, ``depth`` in blocks, ``width`` of the output, ``resolution`` after it,
    and of the first block ``radix``, ``cardinality`` or ``groups``, and ``attention`` where it has them."""
    description = arch.describe()
    x = Tally(task.channels, task.resolution, task.resolution)
    description.stem.cost(x, task)
    rows = [{"name": "stem", "depth": 1, "width": x.channels, "resolution": x.height}]
    shape = x.channels, x.height, x.width
    for number, blocks in enumerate(description.stages, start=1):
        for block in blocks:
            shape = _shape_after(block, *shape)
        if blocks:
            width, resolution, _ = shape
            row = {"name": f"stage {number}", "depth": len(blocks)}
            row |= {"width": width, "resolution": resolution}
            rows.append(row | _traits(blocks[0]))
    return rows


@lru_cache(maxsize=100_000)
def _shape_after(
    block: Block, channels: int, height: int, width: int
) -> tuple[int, int, int]:
    # a block's cost tells its shape as well: no network is built
    x = Tally(channels, height, width)
    block.cost(x)
    return x.channels, x.height, x.width


def _traits(block: Block) -> StageTraits:
    # a ResNeSt's block keeps them in its attended convolution
    conv = getattr(block, "conv", block)
    names = ("radix", "cardinality", "groups", "attention")
    return {name: getattr(conv, name) for name in names if hasattr(conv, name)}
