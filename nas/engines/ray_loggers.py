"""Ray's own loggers by name: TensorBoard, MLflow, Weights & Biases."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path

from ray.tune import Callback

from search_spaces.extension import import_named


def _tensorboard(name: str) -> Callback:
    from ray.tune.logger import TBXLoggerCallback

    return TBXLoggerCallback()


def _mlflow(name: str) -> Callback:
    from ray.air.integrations.mlflow import MLflowLoggerCallback

    return MLflowLoggerCallback(experiment_name=name)


def _wandb(name: str) -> Callback:
    from ray.air.integrations.wandb import WandbLoggerCallback

    return WandbLoggerCallback(project="splitsearch", group=name)


LOGGERS: dict[str, Callable[[str], Callback]] = {
    "tensorboard": _tensorboard,
    "mlflow": _mlflow,
    "wandb": _wandb,
}
"""Called with the name of the run; servers and keys come from the environment, as their manuals say."""
LOGGER_PACKAGES = {"tensorboard": "tensorboardX", "mlflow": "mlflow", "wandb": "wandb"}


def make_loggers(names: Iterable[str], folder: Path) -> list[Callback]:
    """The loggers of those names, or ``module:Name`` of Ray's callback interface, for the run in ``folder``.

    Raises:
        ValueError: for an unknown name, or one whose package is not installed.
    """
    loggers = []
    for name in names:
        package = LOGGER_PACKAGES.get(name)
        if package and find_spec(package) is None:
            raise ValueError(
                f"loggers: {name} needs the package {package}: pip install {package}"
            )
        logger = (
            LOGGERS[name](folder.name)
            if package
            else import_named(name, "logger", LOGGERS)()
        )
        if not isinstance(logger, Callback):
            raise ValueError(
                f"loggers: {name!r} makes no ray.tune.Callback but {type(logger).__name__}"
            )
        loggers.append(logger)
    return loggers
