from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau

from nas.config.loading import load_config
from nas.runs.folder import new_folder
from nas.simulation.emulator import Emulator
from nas.simulation.virtual_cluster import Cluster
from nas.simulation.what_if import FAIR, emulated, what_if, what_if_summary
from results import EventLog
from search_spaces import Arch, Task, complexity

TASK = Task(num_classes=10, resolution=8, channels=1, small_images=True)
CONFIG = load_config("quick", ["training.epochs=3", "limits.macs=3e6"])
SPACE = CONFIG.space.build()


def accuracy(arch: Arch, epoch: int) -> float:
    return (
        0.2
        + 0.1 * np.log10(complexity(arch, TASK).macs / 1e4)
        + 0.1 * (arch.radix == 2)
        + 0.05 * epoch
    )


def record(folder: Path, count: int) -> Path:
    new_folder(folder, CONFIG, TASK)
    archs = islice(SPACE.samples(np.random.default_rng(0), task=TASK), count)
    with EventLog(folder / "events.db") as log:
        log.append(
            "search_started",
            config=CONFIG.model_dump(mode="json"),
            objectives=dict(CONFIG.objectives),
        )
        for trial, arch in enumerate(archs):
            knobs, cost = SPACE.params(arch), complexity(arch, TASK)
            log.append(
                "proposed",
                trial,
                arch_id=arch.id,
                space="resnest",
                arch=arch.to_dict(),
                knobs=knobs,
                seed=0,
            )
            log.append(
                "measured",
                trial,
                macs=cost.macs,
                flops=cost.flops,
                latency_ms=cost.macs / 1e6,
                device="this",
            )
            for epoch in (1, 2, 3):
                log.append(
                    "epoch",
                    trial,
                    epoch=epoch,
                    accuracy=accuracy(arch, epoch),
                    seconds=cost.macs / 1e5,
                )
            log.append("finished", trial, status="complete", error=None)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("runs") / "recorded", 80)


def test_networks_that_were_not_recorded(folder: Path) -> None:
    emulator = Emulator.of_folder(folder, ("latency_ms",))
    others = list(islice(SPACE.samples(np.random.default_rng(1), task=TASK), 40))
    found = [emulator.trajectory(arch) for arch in others]
    assert (
        kendalltau(
            [t.accuracy[-1] for t in found], [accuracy(arch, 3) for arch in others]
        ).statistic
        > 0.4
    )
    assert 0.4 < emulator.rank_agreement <= 1
    true = np.array([complexity(arch, TASK).macs for arch in others])
    assert [t.costs["macs"] for t in found] == true.tolist()
    assert (
        np.median(
            np.abs(np.log([t.costs["latency_ms"] for t in found]) - np.log(true / 1e6))
        )
        < 0.3
    )
    assert (
        np.median(np.abs(np.log([t.seconds for t in found]) - np.log(true / 1e5))) < 0.3
    )
    again = Emulator.of_folder(folder, ("latency_ms",))
    assert [again.trajectory(arch) for arch in others] == found


def test_noise_is_what_the_forest_missed(folder: Path) -> None:
    emulator = Emulator.of_folder(folder)
    others = list(islice(SPACE.samples(np.random.default_rng(2), task=TASK), 60))
    errors = [
        emulator.trajectory(arch).accuracy[-1] - accuracy(arch, 3) for arch in others
    ]
    missed = emulator._missed[:, -1]
    assert (
        abs(np.mean(errors) - missed.mean())
        < 3 * missed.std() / np.sqrt(len(errors)) + 0.01
    )
    assert np.std(errors) > 0.5 * missed.std()


def test_the_shipped_benchmark_tells_networks_apart() -> None:
    source = emulated(
        Path(__file__).parents[3] / "benchmarks" / "splatbench", "evolution"
    )
    assert source.agreement is not None
    assert source.agreement > FAIR
    assert source.usual_trials == 100
    trials = (
        what_if(source, ["moasha,eta=2,min_epochs=3"], Cluster(workers=4), trials=24)
        .simulations.popitem()[1]
        .trials
    )
    assert trials["macs"].between(5e6, 60e6).all()


def test_a_sampler_searches_inside_the_limits(folder: Path) -> None:
    source = emulated(folder, "evolution")
    answer = what_if(source, ["none", "moasha"], Cluster(workers=4), trials=40)
    assert list(answer.table.index) == ["none", "moasha"]
    for simulation in answer.simulations.values():
        assert simulation.trials["macs"].max() <= 3e6
        assert (simulation.complete["latency_ms"] > 0).all()
    assert any("ranks at tau" in line for line in what_if_summary(source, answer))


def test_options_of_a_sampler(folder: Path) -> None:
    spread = what_if(
        emulated(folder, "evolution,first=500"), ["none"], Cluster(workers=4), trials=24
    )
    learned = what_if(
        emulated(folder, "evolution,first=4"), ["none"], Cluster(workers=4), trials=24
    )
    assert set(spread.simulations["none"].trials["macs"]) != set(
        learned.simulations["none"].trials["macs"]
    )
    with pytest.raises(
        ValueError,
        match=r"sampler 'nsga2,20': '20' needs the form option=value, e\.g\. nsga2",
    ):
        emulated(folder, "nsga2,20")


def test_too_few_to_learn_from(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match="10 trials were trained to the end and measured"
    ):
        Emulator.of_folder(record(tmp_path / "few", 10))
    (tmp_path / "few" / "environment.json").unlink()
    with pytest.raises(ValueError, match=r"no environment\.json that names the task"):
        Emulator.of_folder(tmp_path / "few")
