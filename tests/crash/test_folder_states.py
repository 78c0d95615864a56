"""Folders after a power loss at any moment: what was acknowledged is there, whole, and the program goes on."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from evaluators import Preprocess, TrainedModel, load, load_model, write_model_folder
from evaluators.data.cache import _open
from evaluators.training.checkpoint import load_checkpoint, save_checkpoint
from nas import SearchConfig
from nas.retraining.worker import Job, _keep
from nas.runs.folder import new_folder, reopened
from results import EventLog
from results.atomic import write_atomic
from results.log.event_log import read_events
from results.log.events import Noted
from results.log.salvage import mend, usable_events
from search_spaces import ResNeSt, Task, build
from tests.crash.file_states import Recorder, lay_out, recording
from tests.evaluators.data.image_files import settings, write_folder

CPU = torch.device("cpu")
OWNER = {"seed": 0}


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A folder whose changes are recorded; ``check`` is shown every state it may be in after a power loss."""
    root = tmp_path / "disk"
    root.mkdir()

    def survive(
        act: Callable[[Recorder], None], check: Callable[[Path, int], None]
    ) -> int:
        with recording(root, monkeypatch) as told:
            act(told)
        numbers = count()
        for tree, acknowledged in told.states:
            place = tmp_path / f"left{next(numbers)}"
            lay_out(tree, place)
            check(place, acknowledged)
        return len(told.states)

    return SimpleNamespace(root=root, survive=survive)


def test_a_checkpoint_is_the_newest_that_was_acknowledged_or_newer(told: Any) -> None:
    def act(recorder: Recorder) -> None:
        for epoch in (1, 2, 3):
            state = {"epoch": epoch, "weights": torch.full((50,), float(epoch))}
            save_checkpoint(told.root / "0-1.pt", OWNER, state)
            recorder.acknowledge()

    def check(folder: Path, acknowledged: int) -> None:
        path = folder / "0-1.pt"
        if not path.exists():
            assert acknowledged == 0
            return
        state = load_checkpoint(path, OWNER, CPU)
        assert state["epoch"] >= acknowledged
        assert torch.equal(state["weights"], torch.full((50,), float(state["epoch"])))

    assert told.survive(act, check) > 10


def test_a_retraining_goes_on_after_the_last_epoch_that_was_told(told: Any) -> None:
    plan: Any = SimpleNamespace(owner=lambda seed: OWNER, full=False)

    def act(recorder: Recorder) -> None:
        training: Any = SimpleNamespace(history=[], evaluated=nn.Linear(2, 2))
        training.state_dict = lambda: {"history": list(training.history)}
        for accuracy in (0.5, 0.7, 0.6):
            training.history.append({"accuracy": accuracy})
            _keep(Job(plan, 0, told.root), training)
            recorder.acknowledge()

    def check(folder: Path, acknowledged: int) -> None:
        state = Job(plan, 0, folder).state()
        assert len(state["history"] if state else []) >= acknowledged

    assert told.survive(act, check) > 20


def test_a_model_folder_loads_with_the_old_weights_or_the_new(told: Any) -> None:
    arch, task = ResNeSt(widths=(8, 8, 16, 16), depths=(1,) * 4), Task(2, 16, 1)
    model = TrainedModel(
        arch,
        task,
        Preprocess(16, (0.5,), (0.5,)),
        ("cat", "dog"),
        {"accuracy": 0.5},
        {},
    )
    networks = [build(arch, task) for _ in range(2)]

    def act(recorder: Recorder) -> None:
        for network in networks:
            write_model_folder(told.root / "model", model, network.state_dict())
            recorder.acknowledge()

    def check(folder: Path, acknowledged: int) -> None:
        if not acknowledged:
            return
        weights = load_model(folder / "model").state_dict()["conv1.0.weight"]
        written = [network.state_dict()["conv1.0.weight"] for network in networks]
        expected = written[acknowledged - 1 :]
        assert any(torch.equal(weights, one) for one in expected)

    assert told.survive(act, check) > 10


def test_decoded_images_are_whole_or_decoded_again(
    told: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path / "images" / "train")
    monkeypatch.setenv("SPLITSEARCH_CACHE", str(told.root))
    wanted = settings("imagefolder", tmp_path / "images")

    def act(recorder: Recorder) -> None:
        load(wanted)
        recorder.acknowledge()

    def check(folder: Path, acknowledged: int) -> None:
        found = [path for path in folder.rglob("*") if path.is_dir()]
        whole = [path for path in found if path.suffix != ".unfinished"]
        kept = [_open(path, 0.0) for path in whole if list(path.iterdir())]
        assert len(kept) >= acknowledged
        for decoded in kept:
            split = next(iter(decoded.splits.values()))
            assert torch.equal(split.images[:, 0, 0, 0].long() // 8, split.labels)

    assert told.survive(act, check) > 5


def test_a_run_folder_that_was_begun_is_there(told: Any) -> None:
    config = SearchConfig(objectives={"flops": "min"}, evaluators=("complexity",))

    def act(recorder: Recorder) -> None:
        new_folder(told.root / "run", config, Task(10, 32, 3))
        recorder.acknowledge()

    def check(folder: Path, acknowledged: int) -> None:
        if acknowledged:
            assert reopened(folder / "run", ()) == config
            with EventLog(folder / "run" / "events.db") as log:
                assert list(log) == []

    assert told.survive(act, check) > 5


def test_there_is_a_log_at_every_moment_of_mending_it(told: Any) -> None:
    path = told.root / "events.db"
    with EventLog(path) as log:
        log.commit([Noted(None, f"{number} {'x' * 200}") for number in range(300)])
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(content[:middle] + b"?" * 5000 + content[middle + 5000 :])
    before = [event.data for event in usable_events(path)]

    def act(recorder: Recorder) -> None:
        for part in told.root.iterdir():
            recorder.look()
            recorder.sync(part)
        recorder.sync(told.root)
        mend(path)
        recorder.sync(told.root)
        recorder.acknowledge()

    def check(folder: Path, acknowledged: int) -> None:
        left = folder / "events.db"
        assert [event.data for event in usable_events(left)] == before
        if acknowledged:
            assert [event.data for event in read_events(left)] == before

    assert told.survive(act, check) > 2


def test_a_file_is_the_old_or_the_new(told: Any) -> None:
    def act(recorder: Recorder) -> None:
        for text in ("old", "newer"):
            write_atomic(told.root / "front.json", text)

    def check(folder: Path, acknowledged: int) -> None:
        path = folder / "front.json"
        assert not path.exists() or path.read_text() in ("old", "newer")

    assert told.survive(act, check) > 5


def test_a_rename_without_a_sync_is_found(told: Any) -> None:
    def act(recorder: Recorder) -> None:
        (told.root / "unfinished").write_text("whole")
        (told.root / "unfinished").replace(told.root / "file")

    contents = set()

    def check(folder: Path, acknowledged: int) -> None:
        if (folder / "file").exists():
            contents.add((folder / "file").read_text())

    told.survive(act, check)
    assert contents == {"whole", "", "wh", "\0" * 5}
