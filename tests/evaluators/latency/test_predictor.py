import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from evaluators import Evaluator, Latency, LatencyTable, PredictedLatency
from evaluators.latency.predictor import Calibration, mape, parts_of
from evaluators.testing import EvaluatorContract
from search_spaces import Task, build, complexity, get_space, reference

TASK = Task(num_classes=10, resolution=8, channels=1, small_images=True)
LATENCY = Latency(TASK, max_load=1.0, interval=1.0, min_repetitions=3, max_seconds=0.02)
SPACE = get_space(
    "resnest", depth1=(1,), depth2=(1,), depth3=(1,), depth4=(1,), width1=(8, 16), width2=(8,), width3=(8,),
    width4=(8,), stem_width=(8,), radix=(1, 2), cardinality=(1,), bottleneck_width=(64,),
)  # fmt: skip


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> PredictedLatency:
    """One table for all tests: measuring is what takes long."""
    table = tmp_path_factory.mktemp("predictor") / "latency.db"
    return PredictedLatency(LATENCY, SPACE, calibration=4, table=str(table))


class TestPredictedLatency(EvaluatorContract):
    deterministic = PredictedLatency.metrics

    @pytest.fixture
    def evaluator(self, predictor: PredictedLatency) -> Evaluator:
        return predictor


def test_never_passes_for_a_measurement(predictor: PredictedLatency) -> None:
    (row,) = predictor.evaluate(SPACE.sample(np.random.default_rng(3)))
    assert set(row) == {
        "predicted_latency_ms",
        "predicted_latency_mape",
        "predicted_latency_device",
    }
    assert row["predicted_latency_device"] == LATENCY.signature


def test_what_was_measured_is_not_measured_again(predictor: PredictedLatency) -> None:
    arch = SPACE.sample(np.random.default_rng(3))
    first = next(predictor.evaluate(arch))
    table = LatencyTable(Path(str(predictor.table)))
    known = len(table)
    assert next(predictor.evaluate(arch)) == first
    assert len(table) == known
    error = predictor.error(
        [SPACE.sample(np.random.default_rng(seed)) for seed in range(4)]
    )
    assert error.networks == 4
    assert error.mape >= 0
    assert -1 <= error.tau <= 1


def test_without_a_table_of_its_own_it_keeps_to_the_cache_folder(
    predictor: PredictedLatency, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPLITSEARCH_CACHE", str(tmp_path))
    arch = SPACE.sample(np.random.default_rng(3))
    expected = next(predictor.evaluate(arch))
    ours = tmp_path / "latency.db"
    ours.write_bytes(Path(str(predictor.table)).read_bytes())
    known = len(LatencyTable(ours))
    found = PredictedLatency(LATENCY, SPACE, calibration=4)
    assert next(found.evaluate(arch)) == expected, "nothing is measured anew"
    other = SPACE.sample(np.random.default_rng(11))
    assert next(found.evaluate(other))
    assert len(LatencyTable(ours)) > known


@pytest.mark.parametrize(
    "name", ["resnest14d", "resnest50_fast_2s1x64d", "regnety_1.6gf", "fbnetv2_l1"]
)
def test_the_parts_are_the_network(name: str) -> None:
    arch = reference(name)
    task = Task(num_classes=10, resolution=64)
    parts = parts_of(arch, task)
    assert (
        sum(p.numel() for part in parts for p in part.build().parameters())
        == complexity(arch, task).params
    )
    for part, module in zip(parts, _modules(build(arch, task)), strict=False):
        convolutions = [m for m in module.modules() if isinstance(m, nn.Conv2d)]
        assert part.task.channels == convolutions[0].in_channels


def _modules(model: nn.Module) -> list[nn.Module]:
    """What stands for the stem, then the blocks."""
    stages = [
        module for name, module in model.named_children() if name.startswith("layer")
    ]
    return [model, *(block for stage in stages for block in stage)]


def test_the_calibration_finds_what_was_put_in() -> None:
    rng = np.random.default_rng(0)
    parts = np.column_stack((rng.uniform(5, 50, 12), rng.uniform(0.1, 2, 12)))
    measured = 0.9 * parts[:, 0] + 3 * parts[:, 1]
    calibration = Calibration.fit(parts, measured)
    assert (calibration.scale, calibration.per_activation) == pytest.approx((0.9, 3))
    assert calibration.mape < 1e-9
    assert calibration.predict((10.0, 0.5)) == pytest.approx(9 + 1.5)
    noisy = Calibration.fit(parts, measured * rng.uniform(0.8, 1.2, 12))
    assert 0.02 < noisy.mape < 0.4


def test_the_error_is_a_share_of_the_measurement() -> None:
    assert mape(np.array([90.0, 220.0]), np.array([100.0, 200.0])) == pytest.approx(0.1)


def test_processes_measure_a_part_once(tmp_path: Path) -> None:
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom evaluators import LatencyTable\n"
        "def measure():\n    print('measured', flush=True)\n    time.sleep(0.5)\n    return float(sys.argv[2])\n"
        "assert LatencyTable(Path(sys.argv[1])).get('device', 'block', measure) > 0\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "new" / "latency.db"), str(number)],
            stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3],
        )
        for number in (1, 2)
    ]  # fmt: skip
    said = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert "".join(said).split() == ["measured"]


def test_devices_do_not_mix(tmp_path: Path) -> None:
    table = LatencyTable(tmp_path / "latency.db")
    assert [
        table.get(device, "block", lambda t=time: t)
        for device, time in (("a", 1.0), ("b", 2.0))
    ] == [
        1,
        2,
    ]
    assert table.get("a", "block", lambda: 3.0) == 1


def test_a_file_that_is_no_table(tmp_path: Path) -> None:
    wrong = tmp_path / "latency.db"
    wrong.write_text("not a database, but long enough to be read as one" * 20)
    with pytest.raises(
        ValueError, match=r"latency\.db: cannot be used as a latency table"
    ):
        len(LatencyTable(wrong))
    later = tmp_path / "later.db"
    with sqlite3.connect(later) as connection:
        connection.execute("PRAGMA user_version = 3")
    connection.close()
    with pytest.raises(ValueError, match="version 3, this is 2"):
        len(LatencyTable(later))


def test_too_few_to_calibrate() -> None:
    with pytest.raises(ValueError, match="calibration must be at least 4"):
        PredictedLatency(LATENCY, SPACE, calibration=3)


def test_an_earlier_table_is_measured_anew(tmp_path: Path) -> None:
    table = LatencyTable(tmp_path / "latency.db")
    assert table.get("device", "block", lambda: 1.0) == 1
    connection = sqlite3.connect(table.path)
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    assert table.get("device", "block", lambda: 2.0) == 2


def test_a_small_space_calibrates_with_what_it_has(predictor: PredictedLatency) -> None:
    limits = {"params": complexity(SPACE.sample(np.random.default_rng(0)), TASK).params}
    few = PredictedLatency(LATENCY, SPACE, calibration=100, table=predictor.table)
    assert 4 <= len(few._calibrating()) < 100
    inside = PredictedLatency(
        LATENCY, SPACE, calibration=4, limits=limits
    )._calibrating()
    assert max(complexity(arch, TASK).params for arch in inside) <= limits["params"]
