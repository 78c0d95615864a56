"""From an architecture to numbers: complexity at once, latency in a second, accuracy in epochs."""

from evaluators.complexity import Complexity, count_flops, count_operators
from evaluators.data.dataset import Dataset, load, load_test
from evaluators.data.settings import DataSettings
from evaluators.data.split import Source, Split
from evaluators.evaluator import Evaluator, Metrics
from evaluators.latency.latency import (
    Latency,
    measure_latency,
)
from evaluators.latency.predictor import PredictedLatency, PredictorError
from evaluators.latency.result import LatencyResult, UnstableLatencyError
from evaluators.latency.table import LatencyTable
from evaluators.models.folder import (
    TrainedModel,
    load_model,
    read_model_folder,
    write_model_folder,
)
from evaluators.models.predict import Prediction, predict
from evaluators.models.preprocess import Preprocess
from evaluators.training.augment import Augmentation
from evaluators.training.proxy import ProxyTraining, proxy_train
from evaluators.training.recipe import Recipe
from evaluators.zero_cost import ZeroCost

__all__ = [
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
]
