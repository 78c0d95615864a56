"""A recorded search as a world to search in: what any network of its space would have come to, by a guess."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.feature_extraction import DictVectorizer

from nas.config.loading import load_config
from nas.runs.folder import task_of
from nas.simulation.workload import Trajectory, trained
from results import Run, load_run
from results.columns import Array
from search_spaces import Arch, SearchSpace, Task, arch_from_dict, complexity
from search_spaces.sampling.limits import LIMITED

LEAST_NETWORKS = 20
"""Networks trained to the end, for a guess at the others."""
TREES = 100


class Emulator:
    """Trajectories of all architectures of ``space``, learned from the complete trials of a run.

    A forest of extremely randomised trees (Geurts et al. 2006, "Extremely randomized trees") over knobs and exact
    costs foresees the learning curve, the seconds of an epoch and the ``measured`` metrics
    (what is always positive by its logarithm). To the curve comes
    what the forest missed of one of the run's networks, out of bag: which one, the architecture's id decides.
    So curves are as noisy as real ones, and the same each time. ``rank_agreement`` is Kendall's tau between final
    accuracies and what the forest foresaw of them, out of bag.

    Raises:
        ValueError: if fewer than 20 trials of the run have all their epochs and metrics.
    """

    def __init__(
        self, run: Run, space: SearchSpace, task: Task, measured: Sequence[str] = ()
    ) -> None:
        self.space = space
        self.task = task
        self.measured = list(measured)
        known, curves, pace = trained(run, measured)
        if len(known) < LEAST_NETWORKS:
            raise ValueError(
                f"{run.path}: {len(known)} trials were trained to the end and measured; to guess what others "
                f"would come to, {LEAST_NETWORKS} are needed"
            )
        self.epochs = curves.shape[1]
        archs = [arch_from_dict(json.loads(arch)) for arch in known["arch"]]
        self._vectors = DictVectorizer(sparse=False)
        # categories become columns of 0 and 1; a knob that a network lacks is 0
        inputs = self._vectors.fit_transform([self._facts(arch) for arch in archs])
        others = np.column_stack([pace, known[self.measured]]).astype(float)
        # seconds and latencies differ by factors: the forest averages their logarithms
        self._positive = (others > 0).all(0)
        others[:, self._positive] = np.log(others[:, self._positive])
        self._fit(inputs, np.hstack([curves.to_numpy(dtype=float), others]))
        self._known: dict[str, Trajectory] = {}

    def _fit(self, inputs: Array, targets: Array) -> None:
        """``targets`` (networks, epochs + others): a curve, then what comes once per network."""
        # a forest of many outputs splits by their sum of squares: each must weigh the same
        self._centre = targets.mean(0)
        self._scale = targets.std(0) + 1e-12
        self._forest = ExtraTreesRegressor(
            TREES, min_samples_leaf=2, bootstrap=True, oob_score=True, random_state=0
        )
        standard = (targets - self._centre) / self._scale
        self._forest.fit(inputs, standard)
        # out of bag: by the trees that have not seen the network
        foreseen = self._forest.oob_prediction_ * self._scale + self._centre
        self._missed = (targets - foreseen)[:, : self.epochs]
        last = self.epochs - 1
        agreement = scipy.stats.kendalltau(foreseen[:, last], targets[:, last])
        self.rank_agreement = float(agreement.statistic)

    @classmethod
    def of_folder(cls, folder: str | Path, measured: Sequence[str] = ()) -> Emulator:
        """From a run folder, which says what the space was and what the images asked of networks."""
        run = load_run(folder)
        task = task_of(run.path)
        if task is None:
            raise ValueError(
                f"{folder}: has no environment.json that names the task of its images"
            )
        config = load_config(str(run.path / "config.yaml"))
        return cls(run, config.search_space, task, measured)

    def trajectory(self, arch: Arch) -> Trajectory:
        if arch.id not in self._known:
            self._known[arch.id] = self._foresee(arch)
        return self._known[arch.id]

    def expected(self, arch: Arch) -> Trajectory:
        """What the forest foresees, without the noise of one training."""
        return self._trajectory(arch, 0.0)

    def _foresee(self, arch: Arch) -> Trajectory:
        # the id as chance: the same network always errs in the same way
        missed = self._missed[int(arch.id, 16) % len(self._missed)]
        return self._trajectory(arch, missed)

    def _trajectory(self, arch: Arch, missed: Array | float) -> Trajectory:
        facts = self._facts(arch)
        row = self._vectors.transform([facts]).astype(np.float32)
        # tree by tree: the forest's own predict sets up its workers anew for every row
        trees = self._forest.estimators_
        answers = [tree.tree_.predict(row).ravel() for tree in trees]
        found = np.mean(answers, axis=0)
        found = found * self._scale + self._centre
        curve = found[: self.epochs] + missed
        others = found[self.epochs :]
        others[self._positive] = np.exp(others[self._positive])
        seconds, *measured = others.tolist()
        latencies = dict(zip(self.measured, measured, strict=True))
        costs = self._costs(arch) | latencies
        return Trajectory(costs, curve.clip(0, 1).tolist(), seconds)

    def _costs(self, arch: Arch) -> dict[str, float]:
        cost = complexity(arch, self.task)
        return {name: float(getattr(cost, name)) for name in LIMITED}

    def _facts(self, arch: Arch) -> Mapping[str, Any]:
        costs = self._costs(arch).items()
        logs = {f"log {name}": np.log(value) for name, value in costs}
        return self.space.params(arch) | logs
