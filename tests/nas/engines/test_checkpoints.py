"""Checkpoints go when their trial is over: storage holds what is under way, workers what they are at."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

import nas
from evaluators import Metrics
from nas import SearchConfig
from nas.engines.checkpoints import Checkpoints, Sweeper
from results import Event
from results.log.events import Finished
from search_spaces import Arch, Task


def test_checkpoints_go_when_their_trial_does(tmp_path: Path) -> None:
    place = Checkpoints(str(tmp_path))
    for trial in range(3):
        for name in (f"{trial}-0.pt", f"{trial}-1.pt", f"1{trial}-0.pt"):
            (tmp_path / name).touch()
    with Sweeper(place, evaluators=2) as sweeper:
        sweeper(Event(9, 0.0, Finished.KIND, 1, {"status": "stopped"}))
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {
        "0-0.pt",
        "0-1.pt",
        "2-0.pt",
        "2-1.pt",
        "10-0.pt",
        "11-0.pt",
        "12-0.pt",
    }


@dataclass(frozen=True)
class Counted:
    """Keeps a checkpoint, and yields how many there are in the run's storage."""

    task: Task
    metrics = ("accuracy",)
    folder: ClassVar[Path]

    def evaluate(
        self, arch: Arch, *, seed: int = 0, checkpoint: Path | None = None
    ) -> Iterator[Metrics]:
        assert checkpoint is not None
        checkpoint.write_text("one epoch")
        yield {"epoch": 1, "accuracy": float(len([*self.folder.glob("*.pt")]))}


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_storage_holds_what_is_under_way(tmp_path: Path, scheme: str) -> None:
    Counted.folder = tmp_path / "kept"
    config = SearchConfig.model_validate({
        "objectives": {"accuracy": "max", "params": "min"}, "trials": 8, "sampler": "random",
        "evaluators": ("complexity", f"{__name__}:Counted"), "storage": f"{scheme}{tmp_path}/kept",
    })  # fmt: skip
    run = nas.search(config, tmp_path / "run", serial=True)
    # the one at work, and one whose file the thread is about to delete
    assert run.trials["accuracy"].max() <= 2
    assert not list((tmp_path / "kept").iterdir())


def test_copies_of_a_worker_that_was_killed_go(tmp_path: Path) -> None:
    place = Checkpoints(f"file://{tmp_path}/kept")
    mine = place.fetch("3-0.pt")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    other = mine.parent.with_name(f"{socket.gethostname()}-{gone.pid}")
    other.mkdir()
    (other / "7-0.pt").touch()
    mine.write_text("at work")
    place.fetch("4-0.pt")
    assert not other.exists()
    assert mine.exists()
    place.release(mine)
    assert not mine.exists()
