import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from evaluators import Latency, ProxyTraining, UnstableLatencyError, measure_latency
from evaluators.latency.timing import median_error, median_interval
from search_spaces import ResNeSt, Task, build

TASK = Task(num_classes=10, resolution=8, channels=1, small_images=True)
ANY = {"max_load": 1.0, "interval": 1.0}
"""Never refused, however busy the machine that runs the tests is."""
BRIEF = ANY | {"min_repetitions": 3, "max_seconds": 0.05}
Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


class Probe(nn.Module):
    """Takes ``seconds`` and notes the circumstances it runs under."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.weight = nn.Parameter(torch.zeros(1))
        self.seen: list[dict[str, object]] = []

    def __deepcopy__(self, memo: dict[int, object]) -> "Probe":
        copied = Probe(self.seconds)
        copied.seen = self.seen
        return copied

    def forward(self, x: Tensor) -> Tensor:
        time.sleep(self.seconds)
        self.seen.append(
            {
                "shape": tuple(x.shape),
                "dtype": x.dtype,
                "channels_last": x.is_contiguous(memory_format=torch.channels_last),
                "random": x.std().item() > 0.5,
                "training": self.training,
                "inference": torch.is_inference_mode_enabled(),
                "threads": torch.get_num_threads(),
                "cores": len(os.sched_getaffinity(0)),
                "collecting": gc.isenabled(),
            }
        )
        return x


def test_times_what_the_model_takes() -> None:
    result = measure_latency(
        Probe(0.002), TASK, **ANY, min_repetitions=10, max_seconds=0.1
    )
    assert 2 <= result.min_ms <= result.median_ms < 6
    assert len(result.samples) >= 10
    assert min(result.samples) == result.min_ms
    assert result.throughput == pytest.approx(1e3 / result.median_ms)
    assert result.memory_mb is None
    assert result.gpu == {}


def test_circumstances_and_their_end() -> None:
    model = Probe(0)
    task = Task(num_classes=10, resolution=6, channels=3)
    cores = os.sched_getaffinity(0)
    measure_latency(
        model,
        task,
        batch_size=2,
        dtype="bfloat16",
        threads=2,
        channels_last=True,
        **BRIEF,
    )
    assert model.seen[0] == {
        "shape": (2, 3, 6, 6),
        "dtype": torch.bfloat16,
        "channels_last": True,
        "random": True,
        "training": False,
        "inference": True,
        "threads": 2,
        "cores": 2,
        "collecting": False,
    }
    assert model.training
    assert model.weight.dtype == torch.float32
    assert torch.get_num_threads() == 1
    assert os.sched_getaffinity(0) == cores
    assert gc.isenabled()


def test_restores_after_a_failure() -> None:
    broken = nn.Conv2d(5, 1, 1)
    with pytest.raises(RuntimeError):
        measure_latency(broken, TASK, threads=2)
    assert torch.get_num_threads() == 1
    assert gc.isenabled()


def test_slow_models_stop_at_the_minimum() -> None:
    model = Probe(0.02)
    result = measure_latency(model, TASK, **ANY, min_repetitions=3, max_seconds=0.02)
    assert len(result.samples) == 3


def test_device_signature_tells_settings_apart(arch: ResNeSt) -> None:
    model = build(arch, TASK)
    quick = ANY | {"min_repetitions": 1, "max_seconds": 0.0}
    signatures = [
        measure_latency(model, TASK, **quick, **settings).device
        for settings in (
            {},
            {"batch_size": 2},
            {"threads": 2},
            {"dtype": "bfloat16"},
            {"channels_last": True},
            {"fold": True},
        )
    ]
    assert len(set(signatures)) == 6
    assert "1 thread, float32, batch 1, 1x8x8, torch" in signatures[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dtype": "int8"}, "dtype: must be float32 or float16"),
        ({"batch_size": 0}, "batch_size: must be at least 1"),
        ({"threads": 0}, "threads: must be at least 1"),
        ({"min_repetitions": 0}, "min_repetitions: must be at least 1"),
        ({"interval": 0.0}, "interval: must be above 0 and at most 1"),
        ({"max_seconds": float("nan")}, "max_seconds: must be a finite number"),
        ({"max_load": 0.0}, "max_load: must be above 0"),
        ({"cuda_graph": True}, "cuda_graph: must be false on the device cpu"),
        ({"threads": 100_000}, "threads must be at most"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
        ({"device": "meta"}, "'meta' is not supported"),
        ({"device": "cuda:99"}, "there is no device 'cuda:99'"),
    ],
)
def test_wrong_settings(
    arch: ResNeSt, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        measure_latency(build(arch, TASK), TASK, **settings)


def test_measures_between_the_epochs_of_a_training(arch: ResNeSt) -> None:
    training = ProxyTraining().evaluate(arch)
    next(training)
    (row,) = Latency(TASK, **BRIEF).evaluate(arch)
    assert row["latency_ms"] > 0
    assert next(training)["epoch"] == 2


class Erratic(nn.Module):
    """Every other run takes twenty times as long."""

    def __init__(self) -> None:
        super().__init__()
        self.runs = 0

    def forward(self, x: Tensor) -> Tensor:
        self.runs += 1
        time.sleep(0.02 if self.runs % 2 else 0.001)
        return x


def test_a_wide_spread_is_refused() -> None:
    with pytest.raises(
        UnstableLatencyError,
        match=r"only known to \d+% after \d+ runs, 1% was asked for",
    ):
        measure_latency(Erratic(), TASK, max_seconds=0.2, max_load=1.0)


class Copied(nn.Module):
    """Every copy takes the next of the times, in seconds."""

    def __init__(self, seconds: list[float]) -> None:
        super().__init__()
        self.seconds = seconds
        self.took: list[float] = []
        self.copies: list[Copied] = []

    def __deepcopy__(self, memo: dict[int, object]) -> "Copied":
        self.copies.append(Copied(self.seconds[len(self.copies) :]))
        return self.copies[-1]

    def forward(self, x: Tensor) -> Tensor:
        started = time.perf_counter()
        time.sleep(self.seconds[0])
        self.took.append(1e3 * (time.perf_counter() - started))
        return x


CERTAIN = {"interval": 1e-12, "max_load": 1.0, "min_repetitions": 8, "max_seconds": 0.0}
"""More than can be had: every attempt is refused."""


def test_the_least_disturbed_of_three_is_kept_if_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("evaluators.latency.latency.PAUSES", (0.0, 0.0))
    model = Copied([0.02, 0.005, 0.03])
    kept = Latency(TASK, **CERTAIN, keep_disturbed=True).measure_alone(model)
    # what each of the three took, as it saw it itself, however busy the machine is
    took = [np.array(copy.took[-len(kept.samples) :]) for copy in model.copies]
    assert len(took) == 3
    chosen = np.argmin([abs(kept.samples - each).sum() for each in took])
    medians = [float(np.median(each)) for each in took]
    assert medians[chosen] == min(medians)
    with pytest.raises(UnstableLatencyError, match=r"or set latency\.keep_disturbed"):
        Latency(TASK, **CERTAIN).measure_alone(Copied([0.001] * 3))


@pytest.mark.skipif(
    sys.platform != "linux", reason="others' work is only told by Linux"
)
def test_the_load_of_others_goes_with_the_number(arch: ResNeSt) -> None:
    (row,) = Latency(TASK, **BRIEF).evaluate(arch)
    assert 0 <= row["latency_load"] <= 1


def test_work_of_others_is_refused(arch: ResNeSt) -> None:
    spinners = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"])
        for _ in range(os.cpu_count() or 1)
    ]
    with ExitStack() as stack:
        for spinner in spinners:
            stack.callback(spinner.wait)
            stack.callback(spinner.kill)
        with pytest.raises(
            UnstableLatencyError,
            match=r"others took \d+% of the CPU meanwhile, at most 10%",
        ):
            measure_latency(build(arch, TASK), TASK, threads=1, max_seconds=0.5)


def test_the_interval_of_the_median() -> None:
    """Ranks 40 and 61 of 100, as in Le Boudec's table; of few the approximation takes too many."""
    assert median_interval([float(i) for i in range(1, 101)]) == pytest.approx(
        (61 - 40) / 2 / 50.5
    )
    assert median_interval([float(i) for i in range(1, 11)]) == pytest.approx(
        (10 - 1) / 2 / 5.5
    )
    assert median_interval([1.0] * 7) == float("inf")


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, size: rng.normal(10, 1, size),
        lambda rng, size: rng.lognormal(1, 0.5, size),
        lambda rng, size: rng.normal(10, 0.1, size) + 5 * (rng.random(size) < 0.2),
    ],
    ids=["normal", "skewed", "two modes"],
)
def test_the_medians_error_is_what_medians_vary_by(draw: Draw) -> None:
    rng = np.random.default_rng(0)
    samples = draw(rng, (2000, 100))
    truth = np.median(samples, axis=1).std()
    found = [median_error(row.tolist()) for row in samples[:300]]
    assert np.mean([error for error in found if error]) == pytest.approx(truth, rel=0.2)
    assert median_error([1.0] * 7) is None


def test_folding_and_compiling_keep_the_model_as_it_was(arch: ResNeSt) -> None:
    model = build(arch, TASK)
    result = measure_latency(model, TASK, fold=True, **BRIEF)
    assert "folded" in result.device
    assert any(isinstance(module, nn.BatchNorm2d) for module in model.modules())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_compiles(arch: ResNeSt) -> None:
    result = measure_latency(build(arch, TASK), TASK, compile=True, **BRIEF)
    assert "compiled" in result.device


def test_without_a_compiler_says_so(tmp_path: Path) -> None:
    script = (
        "import torch\nfrom evaluators import measure_latency\nfrom search_spaces import Task\n"
        "try:\n    measure_latency(torch.nn.Conv2d(3, 8, 3), Task(resolution=8), compile=True)\n"
        "except ValueError as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
        env={
            "PATH": str(tmp_path),
            "TORCHINDUCTOR_CACHE_DIR": str(tmp_path),
            "HOME": str(tmp_path),
        },
    )
    assert done.stdout.startswith(
        "compile: torch.compile cannot build this network here"
    )
    assert "compile=False measures without" in done.stdout
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.cuda
@pytest.mark.parametrize("cuda_graph", [False, True])
def test_cuda_measures_memory(cuda_graph: bool) -> None:
    model = nn.Conv2d(3, 64, 3)
    result = measure_latency(
        model, Task(), device="cuda", batch_size=8, cuda_graph=cuda_graph
    )
    assert result.memory_mb > 8 * 64 * 222 * 222 * 4 / 1e6
    assert torch.cuda.get_device_name() in result.device
