"""Real searches: Ray, workers, training, log, exports."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import ray
import torch

import nas
from evaluators import DataSettings, Metrics
from nas import SearchConfig, load_config
from nas.config.schema import RayConfig
from nas.controller import Assignment
from nas.engines.checkpoints import Checkpoints
from nas.engines.ray_cluster import connected
from nas.engines.worker import Step, checked, steps
from results import load_run
from results.log.event_log import read_events
from search_spaces import Arch, reference
from tests.nas.tiny import TINY

ROOT = Path(__file__).parents[3]
SMALL = [*TINY, "trials=3"]

OWN = '''
import os
from dataclasses import dataclass
from search_spaces import Task

@dataclass(frozen=True)
class Odd:
    """Fails for networks of radix 1, kills its worker for radix 4."""

    task: Task
    metrics = ("oddness",)

    def evaluate(self, arch, *, seed=0, checkpoint=None):
        yield {"oddness": 1.0}
        if arch.radix == 1:
            raise RuntimeError("radix 1 is\\nnot odd")
        if arch.radix == 4:
            os._exit(1)
        yield {"oddness": float(arch.radix)}
'''


@pytest.fixture(scope="module")
def finished(ray_session: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "small"
    nas.search(load_config("quick", SMALL), folder)
    return folder


def test_a_search_leaves_a_complete_run_folder(finished: Path) -> None:
    wanted = {
        "config.yaml", "environment.json", "events.db", "trials.parquet", "epochs.parquet", "front.json",
        "report.html", "checkpoints", "log.txt",
    }  # fmt: skip
    assert wanted <= {path.name for path in finished.iterdir()}
    assert load_config(str(finished / "config.yaml")) == load_config("quick", SMALL)
    assert json.loads((finished / "environment.json").read_text())["packages"]["torch"]
    assert not list((finished / "checkpoints").iterdir()), "finished trials need none"


def test_every_trial_was_measured_in_full(finished: Path) -> None:
    run = load_run(finished)
    assert run.ended == "3 trials done"
    assert list(run.trials["status"]) == ["complete"] * 3
    metrics = [
        "accuracy",
        "flops",
        "macs",
        "params",
        "activations",
        "latency_ms",
        "latency_iqr_ms",
        "latency_se_ms",
    ]
    assert run.trials[metrics].notna().all(axis=None)
    assert run.trials["accuracy"].between(0.0, 1.0).all()
    assert len(run.epochs) == 3
    assert 1 <= len(run.front()) <= 3
    assert run.trials["arch_id"].is_unique
    exported = pd.read_parquet(finished / "trials.parquet")
    assert list(exported["arch_id"]) == list(run.trials["arch_id"])


def test_cheap_metrics_come_first(finished: Path) -> None:
    kinds = [
        event.kind for event in read_events(finished / "events.db") if event.trial == 0
    ]
    assert kinds == ["proposed", "measured", "measured", "epoch", "finished"]


def test_an_evaluator_of_ones_own_may_fail_or_kill_its_worker(tmp_path: Path) -> None:
    """In one file where the user stands; whatever it does is recorded and the search goes on."""
    (tmp_path / "own.py").write_text(OWN)
    settings = [
        "objectives={oddness: max, params: min}",
        "reference_point=null",
        "space={name: resnest, radix: [1, 2, 4]}",
    ]
    overrides = [
        *settings,
        "evaluators=[complexity, 'own:Odd']",
        "trials=3",
        "sampler=random",
        # draws radix 4 first: the search goes on after it
        "seed=37",
    ]
    printed = _search_in(tmp_path, overrides)
    trials = load_run(tmp_path / "run").trials
    radix = trials["arch.radix"]
    assert set(trials.loc[radix == 2, "status"]) == {"complete"}
    assert set(trials.loc[radix == 1, "error"]) == {"RuntimeError: radix 1 is not odd"}
    assert (
        trials.loc[radix == 4, "error"]
        .str.startswith("the worker failed: The actor died")
        .all()
    )
    assert set(radix) == {1, 2, 4}, "all three were met"
    assert trials.loc[trials["status"] == "failed", "flops"].notna().all(), (
        "what was measured stays"
    )
    assert "RuntimeError: radix 1 is not odd" in printed


def test_the_documented_space_of_ones_own_is_searched(tmp_path: Path) -> None:
    page = (ROOT / "docs/own_space.md").read_text()
    (tmp_path / "my_file.py").write_text(page.split("```python\n")[1].split("```")[0])
    narrow = "space={name: 'my_file:MySpace', width: [8, 16], depth: [1]}"
    overrides = [
        narrow,
        "trials=2",
        "training.epochs=1",
        "latency.max_seconds=0.05",
        "latency.max_load=1",
        "latency.interval=1",
    ]
    _search_in(tmp_path, overrides)
    run = load_run(tmp_path / "run")
    assert list(run.trials["status"]) == ["complete"] * 2
    assert set(run.trials["space"]) == {"my_file:MySpace"}
    assert {"arch.width", "arch.stages", "arch.depth0"} <= set(run.trials)


def _search_in(folder: Path, overrides: Iterable[str]) -> str:
    """What ``run_search.py search`` prints, run where the user stands."""
    command = [
        sys.executable,
        ROOT / "run_search.py",
        "search",
        "quick",
        "--out",
        "run",
        *_set(overrides),
    ]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=True
    ).stdout


def _set(overrides: Iterable[str]) -> list[str]:
    return [word for override in overrides for word in ("--set", override)]


@pytest.mark.parametrize(
    "bad",
    [5.0, {"score": [1]}, {"score": None}, {"score": torch.tensor(1.0)}, {"score": 10**400}, {3: 1.0},
     {"epoch": "one"}, {"epoch": 1.5}, {"epoch": 0}, {"epoch": True}],
)  # fmt: skip
def test_what_no_evaluator_may_yield_is_named(bad: object) -> None:
    with pytest.raises(TypeError, match=r"Odd yielded .* is needed"):
        checked(bad, "Odd")


def test_scalars_of_numpy_are_numbers() -> None:
    assert checked({"score": np.float32(0.5), "epoch": np.int64(2)}, "Odd") == {
        "score": 0.5,
        "epoch": 2,
    }


def test_evaluators_of_a_trial_have_a_checkpoint_each(tmp_path: Path) -> None:
    asked = []

    class Asks:
        metrics = ()

        def evaluate(
            self, arch: Arch, *, seed: int = 0, checkpoint: Path | None = None
        ) -> Iterator[Metrics]:
            asked.append(checkpoint)
            yield {"seed": seed}

    evaluators, place = [Asks(), Asks()], Checkpoints(str(tmp_path))
    assert list(steps(Assignment(3, reference("resnest14d"), 7), evaluators, place)) == [
        Step({"seed": 7}), Step({"seed": 7}), Step()
    ]  # fmt: skip
    assert asked == [tmp_path / "3-0.pt", tmp_path / "3-1.pt"]


def test_evaluators_that_are_done_are_left_out(tmp_path: Path) -> None:
    assignment = Assignment(3, reference("resnest14d"), 7, skip=2)
    assert list(steps(assignment, [], Checkpoints(str(tmp_path)))) == [Step()]


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_checkpoints_are_kept_where_they_should_be(tmp_path: Path, scheme: str) -> None:
    place = Checkpoints(f"{scheme}{tmp_path}/kept")
    path = place.fetch("3-0.pt")
    assert not path.exists()
    path.parent.mkdir(exist_ok=True)
    path.write_text("one epoch")
    place.keep(path)
    assert (tmp_path / "kept" / "3-0.pt").read_text() == "one epoch"
    if scheme:
        # by a worker that was killed before it could keep it
        path.write_text("half an ep")
    assert place.fetch("3-0.pt").read_text() == "one epoch"
    place.discard({4})
    assert place.fetch("3-0.pt").exists()
    place.discard({3})
    assert not place.fetch("3-0.pt").exists()


def test_storage_nobody_knows_is_named() -> None:
    with pytest.raises(ValueError, match="storage nowhere://bucket"):
        Checkpoints("nowhere://bucket").fetch("3-0.pt")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"storage": "FOLDER/file"}, "storage .*/file: cannot be written"),
        (
            {"loggers": ("tensorboard", "own:Callback")},
            "loggers: own:Callback need Ray: leave out --serial",
        ),
    ],
)
def test_what_cannot_be_kept_is_found_before_the_first_trial(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    (tmp_path / "file").touch()
    if "storage" in changes:
        changes = {"storage": changes["storage"].replace("FOLDER", str(tmp_path))}
    config = SearchConfig.model_validate(
        {"objectives": {"params": "min"}, "evaluators": ("complexity",), **changes}
    )
    with pytest.raises(ValueError, match=message):
        nas.search(config, tmp_path / "run", serial=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:99999"])
def test_a_cluster_that_is_not_there_is_named_at_once(
    tmp_path: Path, address: str
) -> None:
    if ray.is_initialized():
        ray.shutdown()  # the one that the session's fixture keeps: `connected` would take it
    with (
        pytest.raises(
            ValueError, match=f"ray.address {address}: no cluster could be reached"
        ),
        connected(RayConfig(address=address), tmp_path / "log.txt"),
    ):
        pass


def test_an_address_of_ray_client_in_the_environment_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if ray.is_initialized():
        ray.shutdown()
    monkeypatch.setenv("RAY_ADDRESS", "ray://127.0.0.1:10001")
    with (
        pytest.raises(ValueError, match="RAY_ADDRESS: Ray Client"),
        connected(RayConfig(address="auto"), tmp_path / "log.txt"),
    ):
        pass


def test_a_space_that_runs_out_ends_the_search(
    ray_session: None, tmp_path: Path
) -> None:
    one = {
        name: choices[0]
        for name, choices in SearchConfig().space.build().knobs().items()
    }
    config = SearchConfig.model_validate({
        "space": {"name": "resnest", **one, "radix": [1, 2]}, "objectives": {"params": "min"},
        "evaluators": ("complexity",), "trials": 50,
    })  # fmt: skip
    run = nas.search(config, tmp_path / "run")
    assert len(run.complete) == 2
    assert run.ended == "the space holds no further networks"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objectives": {"speed": "max"}}, "objectives.speed: no evaluator measures it; there are flops, macs"),
        ({"evaluators": ("complexity",)}, "objectives.accuracy: no evaluator measures it"),
        ({"evaluators": ("complexty",)}, "unknown evaluator 'complexty'; did you mean complexity?"),
        ({"evaluators": ("json:loads",)}, "evaluator 'json:loads' cannot be made: TypeError: the JSON"),
        ({"device": "cuda:9"}, "'cuda:9'"),
        ({"device": "tpu"}, "'tpu'"),
        ({"latency": {"device": "cuda:9"}}, "'cuda:9'"),
        ({"data": DataSettings("mnist")}, "unknown data 'mnist'"),
        ({"sampler": {"name": "magic"}}, "unknown sampler 'magic'"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_before_anything_is_written(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    config = SearchConfig.model_validate(changes)
    with pytest.raises(ValueError, match=message):
        nas.search(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_folder_that_exists_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(
        ValueError, match="exists already; name a new folder with --out"
    ):
        nas.search(SearchConfig(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_more_than_the_machine_has_is_refused(
    ray_session: None, tmp_path: Path
) -> None:
    config = SearchConfig.model_validate({"resources": {"cpus": 4096}})
    with pytest.raises(
        ValueError, match="a trial wants 4096 CPUs and 0 GPUs; the largest node has"
    ):
        nas.search(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
