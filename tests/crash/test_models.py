"""Event log, checkpoints and image cache against a plain dict: any order of calls, with kills in between."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from evaluators import DataSettings, load, load_test
from evaluators.training.checkpoint import (
    DamagedCheckpointError,
    load_checkpoint,
    save_checkpoint,
)
from nas.engines.checkpoints import Checkpoints
from results import EventLog
from results.log.event_log import read_events
from results.log.events import Noted
from tests.evaluators.data.image_files import encoded

QUICK = settings(
    max_examples=15,
    stateful_step_count=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
CPU = torch.device("cpu")
EACH = 12
"""Images of a class."""


class InFolder(RuleBasedStateMachine):
    """A machine with a folder of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())

    def teardown(self) -> None:
        shutil.rmtree(self.folder)


class LogMachine(InFolder):
    """The log is a list of texts: what a commit returned for, and all of a transaction when it ends."""

    def __init__(self) -> None:
        super().__init__()
        self.path = self.folder / "events.db"
        self.log = EventLog(self.path)
        self.known: list[str] = []

    @rule(texts=st.lists(st.text(max_size=5), max_size=3))
    def commit(self, texts: list[str]) -> None:
        added = self.log.commit([Noted(None, text) for text in texts])
        assert [event.data["text"] for event in added] == texts
        self.known += texts

    @rule(
        steps=st.lists(st.lists(st.text(max_size=5), min_size=1, max_size=2)),
        broken=st.booleans(),
    )
    def transaction(self, steps: list[list[str]], broken: bool) -> None:
        with suppress(KeyboardInterrupt), self.log.transaction():
            for texts in steps:
                self.log.commit([Noted(None, text) for text in texts])
            assert [e.data["text"] for e in read_events(self.path)] == self.known
            if broken:
                raise KeyboardInterrupt
        self.known += [text for texts in steps for text in texts]

    @rule(texts=st.lists(st.text(max_size=5), min_size=1, max_size=3))
    def refuse(self, texts: list[str]) -> None:
        """Nothing of a commit is kept that cannot be written as a whole."""
        with pytest.raises(TypeError):
            self.log.commit([*(Noted(None, t) for t in texts), Noted(None, object())])  # type: ignore[arg-type]

    @rule(started=st.booleans())
    def kill(self, started: bool) -> None:
        """The driver is killed, by chance within a transaction; the next opens the file."""
        if started:
            self.log._connection.execute("BEGIN IMMEDIATE")
            self.log._connection.execute(
                "INSERT INTO events (time, kind, data) VALUES (0, 'note', '{}')"
            )
        self.log._connection.close()
        self.log = EventLog(self.path)

    @invariant()
    def holds_what_is_known(self) -> None:
        events = read_events(self.path)
        assert events == list(self.log)
        assert [event.data["text"] for event in events] == self.known
        assert [event.id for event in events] == list(range(1, len(self.known) + 1))
        times = [event.time for event in events]
        assert times == sorted(times)

    def teardown(self) -> None:
        self.log.close()
        super().teardown()


class CheckpointMachine(InFolder):
    """Checkpoints are a dict from trial to the epoch of its last save."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = Checkpoints(str(self.folder))
        self.known: dict[int, int] = {}

    def path(self, trial: int) -> Path:
        return self.kept.fetch(f"{trial}-1.pt")

    @rule(trial=st.integers(0, 12), epoch=st.integers(1, 9))
    def save(self, trial: int, epoch: int) -> None:
        path = self.path(trial)
        save_checkpoint(path, {"trial": trial}, {"epoch": epoch})
        self.kept.keep(path)
        self.known[trial] = epoch

    @rule(trial=st.integers(0, 12))
    def kill_while_saving(self, trial: int) -> None:
        unfinished = self.folder / f"{trial}-1.pt.unfinished"
        unfinished.write_bytes(b"half of a checkp")

    @rule(trials=st.sets(st.integers(0, 12)))
    def discard(self, trials: set[int]) -> None:
        self.kept.discard(trials)
        self.known = {t: e for t, e in self.known.items() if t not in trials}

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def refuse_a_damaged_one(self, data: st.DataObject) -> None:
        path = self.path(data.draw(st.sampled_from(sorted(self.known))))
        whole = path.read_bytes()
        path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
        with pytest.raises(DamagedCheckpointError):
            load_checkpoint(path, {}, CPU)
        path.write_bytes(whole)

    @invariant()
    def holds_what_is_known(self) -> None:
        for trial in range(13):
            path = self.path(trial)
            assert path.exists() == (trial in self.known)
            if trial in self.known:
                state = load_checkpoint(path, {"trial": trial}, CPU)
                assert state["epoch"] == self.known[trial]


class CacheMachine(InFolder):
    """Images are a set of first pixels, whatever is done to their files and to the cache."""

    def __init__(self) -> None:
        super().__init__()
        self.images: dict[Path, int] = {}
        for label, number in product(range(2), range(EACH)):
            self.write(label, number, 0)

    @rule(label=st.integers(0, 1), number=st.integers(0, 11), version=st.integers(0, 4))
    def write(self, label: int, number: int, version: int) -> None:
        path = self.folder / "images" / f"class{label}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixel = (label * EACH + number) * 5 + version
        path.write_bytes(encoded(pixel))
        self.images[path] = pixel

    @rule()
    def kill_while_decoding(self) -> None:
        """The next to decode the same finds what was left."""
        for facts in list((self.folder / "cache").rglob("facts.json")):
            facts.parent.rename(facts.parent.with_suffix(".unfinished"))

    @rule()
    def lose_the_cache(self) -> None:
        shutil.rmtree(self.folder / "cache", ignore_errors=True)

    @rule(again=st.booleans())
    def read(self, again: bool) -> None:
        root, cache = str(self.folder / "images"), str(self.folder / "cache")
        wanted = DataSettings("imagefolder", root, resolution=8, cache=cache)
        for _ in range(1 + again):
            data = load(wanted)
            splits = [data.train, data.validation, load_test(wanted)]
            found = torch.cat([split.images[:, 0, 0, 0] for split in splits])
            assert sorted(found.tolist()) == sorted(self.images.values())


def test_the_log_is_a_list() -> None:
    run(LogMachine, max_examples=6)


def test_checkpoints_are_a_dict() -> None:
    run(CheckpointMachine)


def test_decoded_images_are_a_set() -> None:
    run(CacheMachine, max_examples=4, stateful_step_count=8)


def run(machine: type[RuleBasedStateMachine], **options: Any) -> None:
    run_state_machine_as_test(machine, settings=settings(QUICK, **options))
