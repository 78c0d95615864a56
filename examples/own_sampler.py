"""Your own sampler: any of Optuna's interface. This one starts in the middle of all ranges."""

import sys
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, RandomSampler

from nas import load_config, search


class MiddleFirst(BaseSampler):
    def __init__(self, seed: int | None = None) -> None:
        self._random = RandomSampler(seed=seed)

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
        return {}

    def sample_relative(self, study: Any, trial: Any, space: Any) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: Any, trial: Any, name: str, distribution: BaseDistribution
    ) -> Any:
        if trial.number > 0:
            return self._random.sample_independent(study, trial, name, distribution)
        if isinstance(distribution, CategoricalDistribution):
            return distribution.choices[len(distribution.choices) // 2]
        low, high, step = distribution.low, distribution.high, distribution.step or 1
        return distribution.to_external_repr(low + (high - low) / 2 // step * step)


if __name__ == "__main__":
    settings = ["sampler=own_sampler:MiddleFirst", "trials=4", "training.epochs=2"]
    config = load_config("quick", [*settings, *sys.argv[1:]])
    run = search(config, "runs/own-sampler", serial=True)
    print(run.trials[["trial", "arch.width2", "arch.radix", "accuracy"]])
