"""From an architecture to numbers: complexity at once, latency in a second, accuracy in epochs."""

from .augment import Augmentation
from .complexity import Complexity, count_flops, count_operators
from .data import Dataset, load, load_test
from .evaluator import Evaluator, Metrics
from .latency import Latency, LatencyResult, UnstableLatencyError, measure_latency
from .latency_predictor import PredictedLatency, PredictorError
from .latency_table import LatencyTable
from .model_folder import TrainedModel, load_model, read_model_folder, write_model_folder
from .predict import Prediction, predict
from .preprocess import Preprocess
from .proxy import ProxyTraining, proxy_train
from .recipe import Recipe
from .settings import DataSettings
from .split import Source, Split
from .zero_cost import ZeroCost

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
