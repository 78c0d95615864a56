"""Checkpoint files that are whole or absent, hold no code, and know whose they are."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from evaluators.durable import replace_durably

NOT_WHOLE = (
    RuntimeError,
    EOFError,
    pickle.UnpicklingError,
    LookupError,
    TypeError,
    ValueError,
)
"""What torch.load raises for a file that was cut off, overwritten, or never a checkpoint."""


class DamagedCheckpointError(ValueError):
    """A file that is no whole checkpoint."""


def save_checkpoint(
    path: Path, owner: dict[str, object], state: dict[str, object]
) -> None:
    """Replace the file at once, so that a process killed meanwhile, or a power loss, leaves the old one.

    ``owner`` and ``state`` may hold tensors, plain values, and lists and dicts of them.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # in the same folder, because a rename is atomic only within a file system
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        torch.save({"owner": owner, "state": state}, unfinished)
    except (
        OSError,
        RuntimeError,
    ) as error:  # the latter is torch's word for a full disk
        unfinished.unlink(missing_ok=True)
        raise OSError(f"checkpoint {path} cannot be written ({error})") from error
    replace_durably(unfinished, path)


def load_checkpoint(
    path: Path, owner: dict[str, object], device: torch.device
) -> dict[str, Any]:
    """The state saved by the same owner; what an earlier version did not write of it cannot differ.

    Raises:
        DamagedCheckpointError: if the file is damaged.
        ValueError: if it is another owner's, naming the first thing that differs.
    """
    try:
        # weights_only: no code of the file is run, whoever wrote it
        saved = torch.load(path, map_location=device, weights_only=True)
        saved_owner = saved["owner"]
        state = saved["state"]
    except NOT_WHOLE as error:
        raise DamagedCheckpointError(
            f"checkpoint {path} is damaged or not ours; delete it to start over"
        ) from error
    # over what was saved: a field that came later is not missing there
    for name in saved_owner:
        if (theirs := saved_owner.get(name)) != (ours := owner.get(name)):
            raise ValueError(
                f"checkpoint {path} is another run's: {name} is {theirs} there and {ours} here; "
                "delete it to start over"
            )
    return dict(state)
