"""Train networks of a list, as an ordinary run that can be interrupted: what several benchmarks build on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nas import load_config, resume, search
from nas.config.loading import validate
from results import Run, load_run
from search_spaces import Arch


def train_all(
    archs: Sequence[Arch],
    folder: Path,
    settings: Mapping[str, Any],
    *,
    serial: bool = False,
) -> Run:
    """The run of those networks in ``folder``: begun, gone on with, or as it is.

    Raises:
        SystemExit: if the folder holds a run of other settings, or another call is at work on it.
    """
    starts = folder.with_suffix(".json")
    everything = {
        "start_from": [str(starts)],
        "trials": len(archs),
        "sampler": "random",
    }
    config = validate({**settings, **everything}, folder.name)
    if not (folder / "events.db").exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        starts.write_text(json.dumps({"networks": [arch.to_dict() for arch in archs]}))
        return search(config, folder, serial=serial)
    if load_config(str(folder / "config.yaml")) != config:
        raise SystemExit(
            f"{folder}: holds a run of other settings; name a new folder with --out"
        )
    run = load_run(folder)
    if run.ended not in (None, "interrupted"):
        return run
    try:
        return resume(folder, serial=serial)
    except ValueError as error:  # another call is at work on it
        raise SystemExit(str(error)) from None
