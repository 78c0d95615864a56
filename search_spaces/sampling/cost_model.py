"""What the knobs do to the costs, learnt from draws: a guess for a thousandth of the time of the count.

A network's cost is a sum, over stages, of products of depth, widths and so on. So the logarithm of the cost is
fitted as ``logsumexp`` over terms that are sums of one curve per knob, draws near the limits counting most.
Draws held back from the fit say how far it errs; whatever may lie inside by that error is let through.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from search_spaces.sampling.limits import Window
from search_spaces.sampling.unit_cube import FloatArray

TERMS = 12
ITERATIONS = 200
NEAR = 0.5
"""Distance from the window, in units of log cost, at which a draw has half its weight in the fit."""
SLACK = 2.0
"""Distance from the window, in standard errors of the fit, up to which every architecture passes."""


@dataclass(frozen=True)
class CostFit:
    """log cost as ``logsumexp`` of a few terms, each a sum of one cubic a knob.

    That is the shape of a network's cost: a sum (of stages) of products (of depth, widths, ...).
    """

    sizes: FloatArray
    """Choices of each knob."""
    window: Window
    weights: FloatArray
    """(metrics, features, TERMS)"""
    error: FloatArray
    """Standard error of log cost near the window, (metrics,)."""

    @classmethod
    def of(
        cls,
        rows: FloatArray,
        sizes: FloatArray,
        costs: FloatArray,
        window: Window,
        seed: int,
    ) -> CostFit:
        """Fit ``costs`` (draws, metrics) on ``rows`` (draws, knobs), positions among the choices, 0 to 1."""
        log_costs = np.log(costs)
        # Cauchy weights: far draws steady the fit, but those near the limits shape it
        far = window.misses(log_costs) / NEAR
        shares = (1 / (1 + far**2)).prod(1)
        features = _features(rows, sizes)
        # every fourth is for the error alone: on its own draws a fit looks better than it is
        unseen = np.arange(len(rows)) % 4 == 0
        x = features[~unseen]
        share = shares[~unseen]
        seen_costs = log_costs[~unseen]
        weights = np.stack([_fit(x, column, share, seed) for column in seen_costs.T])
        residuals = log_costs[unseen] - _predict(features[unseen], weights)
        # weighted as the fit is: the error near the limits is the one that decides
        error = np.sqrt(np.average(residuals**2, axis=0, weights=shares[unseen]))
        return cls(sizes, window, weights, error)

    def expected_inside(self, rows: FloatArray) -> float:
        """Share of the rows."""
        inside = (self._misses(rows) == 0).all(1)
        return float(inside.mean())

    def passes(self, rows: FloatArray) -> FloatArray:
        """Probability with which each row, (rows, knobs), is worth costing; never 0."""
        # a heavy tail, so that what the fit is wrong about is found in the end in standard errors
        misses = self._misses(rows) / self.error
        beyond = np.maximum(0, misses - SLACK)
        passes: FloatArray = (1 / (1 + beyond**4)).prod(1)
        return passes

    def _misses(self, rows: FloatArray) -> FloatArray:
        features = _features(rows, self.sizes)
        return self.window.misses(_predict(features, self.weights))


def _features(rows: FloatArray, sizes: FloatArray) -> FloatArray:
    # choices from -1/2 to 1/2, so that powers of them are little correlated
    position = np.floor(rows * sizes)
    x = position / np.maximum(sizes - 1, 1) - 0.5
    square = x * x
    # a product takes a tenth of the time of a power
    constant = np.ones((len(x), 1))
    return np.hstack([constant, x, square, square * x])


def _predict(features: FloatArray, weights: FloatArray) -> FloatArray:
    # (metrics, rows, TERMS) -> (rows, metrics)
    terms = np.exp(features @ weights)
    log_costs: FloatArray = np.log(terms.sum(2)).T
    return log_costs


@torch.inference_mode(False)
@torch.enable_grad()
def _fit(
    features: FloatArray, log_costs: FloatArray, shares: FloatArray, seed: int
) -> FloatArray:
    x, y, share = (
        torch.from_numpy(array)
        for array in (features, log_costs, shares / shares.sum())
    )
    rng = torch.Generator().manual_seed(seed)
    # random, or the terms would share every gradient and stay alike for ever (features, TERMS)
    terms = 0.3 * torch.randn(x.shape[1], TERMS, dtype=x.dtype, generator=rng)
    # together they start at the mean cost: logsumexp adds log(TERMS)
    terms[0] += y.mean() - np.log(TERMS)
    terms.requires_grad_()
    solver = torch.optim.LBFGS(
        [terms], max_iter=ITERATIONS, history_size=20, line_search_fn="strong_wolfe"
    )

    def loss() -> float:
        solver.zero_grad()
        residuals = torch.logsumexp(x @ terms, 1) - y
        squares = (share * residuals**2).sum()
        # a little ridge: knobs that change nothing keep weight 0
        off = squares + 1e-5 * (terms[1:] ** 2).mean()
        (terms.grad,) = torch.autograd.grad(off, terms)
        return off.item()

    solver.step(loss)
    return terms.detach().numpy()
