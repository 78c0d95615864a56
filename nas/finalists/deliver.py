"""The network of choice among those trained in full, as a folder for others."""

from __future__ import annotations

import shutil
from pathlib import Path

from evaluators.data.progress import Progress
from nas.config.finalists import ExportConfig, SelectConfig
from nas.exporting.export import export
from results import Selection
from results.runs.finalists import load_finalists

MODEL = "model"
"""The folder of the delivered network in that of its run."""


def deliver(
    run: Path,
    choice: SelectConfig,
    form: ExportConfig,
    progress: Progress = lambda what, done, total: None,
) -> tuple[Path, Selection]:
    """Write ``model`` in the folder of the run, in the place of an earlier one; returns where, and the choice.

    Raises:
        ValueError: if no network has been trained in full, or none is within the limits of the choice.
    """
    finals = load_finalists(run)
    if finals is None:
        raise ValueError(f"{run}: no network of it has been trained in full")
    given = {name: value for name, value in choice if value}
    selection = finals.select(**given)
    source = finals.path / "networks" / str(selection.row["arch_id"])
    out = run / MODEL
    shutil.rmtree(out, ignore_errors=True)
    export(source, out, onnx=form.onnx, program=form.program, progress=progress)
    return out, selection
