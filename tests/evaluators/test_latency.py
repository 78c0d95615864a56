import gc
import time

import pytest
import torch
from torch import Tensor, nn

from evaluators import Latency, ProxyTraining, measure_latency
from search_spaces import ResNeSt, Task, build

TASK = Task(num_classes=10, resolution=8, channels=1, small_images=True)


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
                "collecting": gc.isenabled(),
            }
        )
        return x


def test_times_what_the_model_takes() -> None:
    result = measure_latency(Probe(0.002), TASK, min_repetitions=10, max_seconds=0.1)
    assert 2 <= result.min_ms <= result.median_ms < 6
    assert len(result.samples) >= 10
    assert min(result.samples) == result.min_ms
    assert result.memory_mb is None


def test_circumstances_and_their_end() -> None:
    model = Probe(0)
    task = Task(num_classes=10, resolution=6, channels=3)
    measure_latency(model, task, batch_size=2, dtype="bfloat16", threads=2, channels_last=True)
    assert model.seen[0] == {
        "shape": (2, 3, 6, 6),
        "dtype": torch.bfloat16,
        "channels_last": True,
        "random": True,
        "training": False,
        "inference": True,
        "threads": 2,
        "collecting": False,
    }
    assert model.training
    assert model.weight.dtype == torch.float32
    assert torch.get_num_threads() == 1
    assert gc.isenabled()


def test_restores_after_a_failure() -> None:
    broken = nn.Conv2d(5, 1, 1)
    with pytest.raises(RuntimeError):
        measure_latency(broken, TASK, threads=2)
    assert torch.get_num_threads() == 1
    assert gc.isenabled()


def test_slow_models_stop_at_the_minimum() -> None:
    model = Probe(0.02)
    result = measure_latency(model, TASK, min_repetitions=3, max_seconds=0.02)
    assert len(result.samples) == 3


def test_device_signature_tells_settings_apart(arch: ResNeSt) -> None:
    model = build(arch, TASK)
    quick = {"min_repetitions": 1, "max_seconds": 0.0}
    signatures = [
        measure_latency(model, TASK, **quick, **settings).device
        for settings in (
            {},
            {"batch_size": 2},
            {"threads": 2},
            {"dtype": "bfloat16"},
            {"channels_last": True},
        )
    ]
    assert len(set(signatures)) == 5
    assert "1 thread, float32, batch 1, 1x8x8, torch" in signatures[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dtype": "int8"}, "unknown dtype 'int8'; use float32"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"min_repetitions": 0}, "min_repetitions must be at least 1"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
        ({"device": "meta"}, "'meta' is not supported"),
        ({"device": "cuda:99"}, "there is no device 'cuda:99'"),
    ],
)
def test_wrong_settings(arch: ResNeSt, settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        measure_latency(build(arch, TASK), TASK, **settings)


def test_measures_between_the_epochs_of_a_training(arch: ResNeSt) -> None:
    training = ProxyTraining().evaluate(arch)
    next(training)
    (row,) = Latency(TASK, min_repetitions=3, max_seconds=0.1).evaluate(arch)
    assert row["latency_ms"] > 0
    assert next(training)["epoch"] == 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_cuda_measures_memory() -> None:
    model = nn.Conv2d(3, 64, 3)
    result = measure_latency(model, Task(), device="cuda", batch_size=8)
    assert result.memory_mb > 8 * 64 * 222 * 222 * 4 / 1e6
    assert torch.cuda.get_device_name() in result.device
