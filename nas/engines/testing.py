"""What every engine must do, as tests to inherit: give one fixture, get the tests.

::

    class TestMyEngine(EngineContract):
        @pytest.fixture
        def engine(self, config: SearchConfig, tmp_path: Path) -> Engine:
            return MyEngine(config, tmp_path)

Needs pytest; nothing else in the package imports this module.
"""
# ruff: noqa: S101 - these are tests

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from evaluators import Complexity, Evaluator, Metrics
from nas.budget import Budget
from nas.config.schema import SearchConfig
from nas.controller import Controller
from nas.engines.checkpoints import Checkpoints
from nas.engines.engine import Engine
from nas.samplers.proposer import Proposer
from nas.samplers.registry import make_sampler
from nas.stopper.asha import Stopper, make_stopper
from results import Event, EventLog
from results.log.event_log import read_events
from results.log.events import Content, Finished
from search_spaces import Arch, get_space

_OBJECTIVES = {"accuracy": "max", "flops": "min"}
EPOCHS = 3
SEED = 7


@dataclass(frozen=True)
class Counting:
    """Epochs that are kept in a checkpoint; fails in the second epoch of networks of the radix ``broken``."""

    broken: int = -1

    metrics: ClassVar[tuple[str, ...]] = ("accuracy", "began", "given")

    def evaluate(
        self, arch: Arch, *, seed: int = 0, checkpoint: Path | None = None
    ) -> Iterator[Metrics]:
        assert checkpoint is not None
        began = int(checkpoint.read_text()) if checkpoint.exists() else 0
        for epoch in range(1, EPOCHS + 1):
            if epoch == 2 and getattr(arch, "radix", None) == self.broken:
                raise RuntimeError(f"radix {self.broken} is\nbroken")
            if epoch > began:
                checkpoint.write_text(str(epoch))
            accuracy = 0.1 * epoch + int(arch.id, 16) % 100 / 1000
            yield {"epoch": epoch, "accuracy": accuracy, "began": began, "given": seed}


class EngineContract:
    """Tests of an engine; a subclass overrides the fixture ``engine``."""

    @pytest.fixture
    def config(self) -> SearchConfig:
        return SearchConfig(evaluators=("complexity",), objectives={"flops": "min"})

    @pytest.fixture
    def engine(self, config: SearchConfig, tmp_path: Path) -> Engine:
        raise NotImplementedError("a contract test gives the fixture 'engine'")

    def test_is_an_engine(self, engine: Engine) -> None:
        assert isinstance(engine, Engine)

    def test_every_trial_runs_to_its_end(self, engine: Engine, tmp_path: Path) -> None:
        told = run_engine(engine, tmp_path, [Complexity(), Counting()], trials=4)
        assert statuses(told) == ["complete"] * 4
        for trial in range(4):
            assert [epoch["epoch"] for epoch in epochs(told, trial)] == [1, 2, 3]
            assert {epoch["given"] for epoch in epochs(told, trial)} == {SEED}
        measured = [event.data for event in told if event.kind == "measured"]
        assert len(measured) == 4
        assert all(facts["flops"] > 0 for facts in measured)

    def test_a_failure_ends_its_trial_and_no_other(
        self, engine: Engine, tmp_path: Path
    ) -> None:
        told = run_engine(
            engine, tmp_path, [Complexity(), Counting(broken=1)], trials=4
        )
        assert sorted(statuses(told)) == ["complete", "complete", "failed", "failed"]
        errors = {event.data["error"] for event in told if event.kind == "finished"}
        assert errors == {None, "RuntimeError: radix 1 is broken"}

    def test_what_is_stopped_trains_no_further(
        self, engine: Engine, tmp_path: Path
    ) -> None:
        stopper = make_stopper(
            "moasha", _OBJECTIVES, EPOCHS, {"min_epochs": 1, "eta": 2}
        )
        told = run_engine(
            engine, tmp_path, [Complexity(), Counting()], trials=8, stopper=stopper
        )
        ends = {
            event.trial: event.data["status"]
            for event in told
            if event.kind == "finished"
        }
        assert set(ends.values()) == {"complete", "stopped"}
        decided = {
            event.trial: event.data["epoch"]
            for event in told
            if event.kind == "decision"
        }
        for trial, status in ends.items():
            last = epochs(told, trial)[-1]["epoch"]
            assert last == (decided[trial] if status == "stopped" else EPOCHS)

    def test_an_interrupted_trial_goes_on_from_its_checkpoint(
        self, engine: Engine, tmp_path: Path
    ) -> None:
        folder = tmp_path / "run"
        folder.mkdir()
        with EventLog(
            folder / "events.db"
        ) as log:  # a driver that was killed after the first epoch
            killed = controller(log, [Complexity(), Counting()], trials=2)
            work = killed.next()
            assert work is not None
            killed.report(work.trial, next(Complexity().evaluate(work.arch)))
            checkpoint = folder / "checkpoints" / "0-1.pt"
            checkpoint.parent.mkdir()
            rows = Counting().evaluate(work.arch, seed=SEED, checkpoint=checkpoint)
            killed.report(work.trial, next(rows))
        told = run_engine(engine, tmp_path, [Complexity(), Counting()], trials=2)
        assert statuses(told) == ["complete"] * 2
        assert [epoch["epoch"] for epoch in epochs(told, 0)] == [1, 2, 3]
        assert [epoch["began"] for epoch in epochs(told, 0)] == [0, 1, 1]
        assert sum(event.kind == "measured" for event in told) == 2, (
            "what is known is not measured again"
        )

    def test_what_the_controller_raises_ends_the_run(
        self, engine: Engine, tmp_path: Path
    ) -> None:
        class FullDisk(EventLog):
            def commit(self, contents: Sequence[Content]) -> list[Event]:
                # late enough that trials are under way
                if any(isinstance(content, Finished) for content in contents):
                    raise OSError("no space left on device")
                return super().commit(contents)

        with pytest.raises(OSError, match="no space left"):
            run_engine(
                engine,
                tmp_path,
                [Complexity(), Counting()],
                trials=4,
                open_log=FullDisk,
            )


def run_engine(
    engine: Engine,
    tmp_path: Path,
    evaluators: Sequence[Evaluator],
    *,
    trials: int,
    stopper: Stopper | None = None,
    open_log: type[EventLog] = EventLog,
) -> list[Event]:
    """Run a search of a few networks, or go on with the one in ``tmp_path``; what its log then holds."""
    folder = tmp_path / "run"
    folder.mkdir(exist_ok=True)
    path = folder / "events.db"
    checkpoints = Checkpoints(str(folder / "checkpoints"))
    checkpoints.prove()
    with open_log(path) as log:
        made = controller(log, evaluators, trials=trials, stopper=stopper)
        made.replay(read_events(path))
        engine.run(made, evaluators, checkpoints)
        assert made.over
    return list(read_events(path))


def controller(
    log: EventLog,
    evaluators: Sequence[Evaluator],
    *,
    trials: int,
    stopper: Stopper | None = None,
) -> Controller:
    """Of random networks of two radices, half of them each."""
    # two radices, so that one of them can be broken
    space = get_space("resnest", radix=[1, 2])
    return Controller(
        Proposer(space, _OBJECTIVES, make_sampler("random", SEED), SEED),
        log,
        Budget(trials),
        stopper=stopper or make_stopper("none", _OBJECTIVES, EPOCHS),
        seed=SEED,
        produces=[evaluator.metrics for evaluator in evaluators],
    )


def statuses(told: Sequence[Event]) -> list[str]:
    """How the trials ended, in the order in which they did."""
    return [event.data["status"] for event in told if event.kind == "finished"]


def epochs(told: Sequence[Event], trial: int | None) -> list[Mapping[str, Any]]:
    """What was told of the epochs of a trial, in order."""
    return [
        event.data for event in told if event.kind == "epoch" and event.trial == trial
    ]
