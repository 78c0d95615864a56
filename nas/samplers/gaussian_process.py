"""Gaussian process regression: a quadratic trend in a few inputs, and what the others explain beyond it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

Array = NDArray[np.float64]

LENGTHS = (0.5, 1.0, 2.0, 4.0)
"""Distances over which values are alike; the most likely is taken."""
NOISES = (0.01, 0.1, 0.5)
"""Variances of the noise, that which inputs explain beyond the trend being 1; the most likely is taken."""
TREND = 10.0
"""Prior standard deviation of the trend's weights."""
JITTER = 1e-6


@dataclass(frozen=True)
class GaussianProcess:
    """The posterior over values given those at ``x`` (points, inputs), of which the first ``trend`` have one.

    The kernel is Matern 5/2 over all inputs plus that of a quadratic in the trend's (Rasmussen and Williams 2006,
    sections 2.7 and 4.2).
    """

    x: Array
    trend: int
    length: float
    mean: float
    scale: float
    lower: Array
    half: Array

    @classmethod
    def fit(cls, x: Array, y: Array, trend: int) -> GaussianProcess:
        """``y``: (points,). Length, noise and variance are those of the highest marginal likelihood."""
        mean, scale = float(y.mean()), float(y.std()) or 1.0
        z = (y - mean) / scale
        distance, basis = _distance(x, x), _basis(x, trend)
        quadratic = TREND**2 * basis @ basis.T
        best = -np.inf
        for length, noise in product(LENGTHS, NOISES):
            covariance = _matern(distance / length) + quadratic + (noise + JITTER) * np.eye(len(x))
            lower = np.asarray(np.linalg.cholesky(covariance), dtype=np.float64)
            half = solve_triangular(lower, z, lower=True)
            factor = math.sqrt(half @ half / len(z)) or 1.0
            likelihood = -len(z) * math.log(factor) - np.log(np.diag(lower)).sum()
            if likelihood > best:
                best = likelihood
                found = cls(x, trend, length, mean, scale * factor, lower, np.asarray(half) / factor)
        return found

    def sample(self, x: Array, rng: np.random.Generator) -> Array:
        """Values at all of ``x`` (points, inputs), drawn together: (points,), without noise."""
        cross = solve_triangular(self.lower, self._covariance(self.x, x), lower=True)
        covariance = self._covariance(x, x) - cross.T @ cross
        values, vectors = np.linalg.eigh(covariance)
        root = vectors * np.sqrt(np.maximum(values, 0))
        return np.asarray(self.mean + self.scale * (cross.T @ self.half + root @ rng.normal(size=len(x))))

    def _covariance(self, a: Array, b: Array) -> Array:
        trend = TREND**2 * _basis(a, self.trend) @ _basis(b, self.trend).T
        return np.asarray(_matern(_distance(a, b) / self.length) + trend)


def _basis(x: Array, trend: int) -> Array:
    inputs = x[:, :trend]
    return np.hstack([np.ones((len(x), 1)), inputs, inputs**2])


def _distance(a: Array, b: Array) -> Array:
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    return np.asarray(np.sqrt(np.maximum(squared, 0)))


def _matern(distance: Array) -> Array:
    r = np.sqrt(5.0) * distance
    return np.asarray((1 + r + r**2 / 3) * np.exp(-r))
