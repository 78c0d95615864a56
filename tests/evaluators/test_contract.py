import dataclasses
import json

import pytest

import evaluators
from evaluators import Complexity, Evaluator, Latency, ProxyTraining, Recipe
from evaluators.testing import EvaluatorContract
from search_spaces import Task

DIGITS = Task(num_classes=10, resolution=8, channels=1, small_images=True)


class TestComplexity(EvaluatorContract):
    deterministic = Complexity.metrics

    @pytest.fixture
    def evaluator(self) -> Evaluator:
        return Complexity(DIGITS)


class TestLatency(EvaluatorContract):
    @pytest.fixture
    def evaluator(self) -> Evaluator:
        return Latency(
            DIGITS, min_repetitions=5, max_seconds=0.05, interval=1.0, max_load=1.0
        )


class TestProxyTraining(EvaluatorContract):
    deterministic = ("accuracy", "train_loss", "validation_loss", "learning_rate")

    @pytest.fixture
    def evaluator(self) -> Evaluator:
        return ProxyTraining(recipe=Recipe(epochs=2, batch_size=256))


@pytest.mark.parametrize(
    "evaluator", [Complexity(DIGITS), Latency(DIGITS), ProxyTraining()]
)
def test_fields_are_plain_json(evaluator: Complexity | Latency | ProxyTraining) -> None:
    fields = dataclasses.asdict(evaluator)
    assert json.loads(json.dumps(fields)) == fields


def test_public_surface() -> None:
    assert set(evaluators.__all__) == {
        "Augmentation",
        "Complexity",
        "DataSettings",
        "Dataset",
        "Evaluator",
        "Latency",
        "LatencyResult",
        "LatencyTable",
        "Metrics",
        "PredictedLatency",
        "Prediction",
        "PredictorError",
        "Preprocess",
        "ProxyTraining",
        "Recipe",
        "Source",
        "Split",
        "TrainedModel",
        "UnstableLatencyError",
        "ZeroCost",
        "count_flops",
        "count_operators",
        "load",
        "load_model",
        "load_test",
        "measure_latency",
        "predict",
        "proxy_train",
        "read_model_folder",
        "write_model_folder",
    }
    assert all(hasattr(evaluators, name) for name in evaluators.__all__)
