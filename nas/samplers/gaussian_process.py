"""Gaussian process regression with one length scale per input group.

The kernel is a Matern 5/2. Length scales and noise maximise the marginal likelihood times a prior, by its
gradient. The scale of the values has a closed form and is not searched.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, solve_triangular
from scipy.optimize import minimize

from results.columns import Array

JITTER = 1e-6
SLOPE = 1.0
"""Prior standard deviation of a slope."""
LENGTH_SPREAD = 0.5
"""Prior standard deviation of the log of a length scale."""
NOISE = (math.log(0.3), 1.0)
"""Prior mean and standard deviation of the log of the noise's variance, the values explained having 1."""
BOUNDS = (-6.0, 6.0)
"""Of the logs that are searched."""
OPTIMIZER_STEPS = 30
"""Steps of the search for hyperparameters, at most."""


@dataclass(frozen=True)
class Kernel:
    """Covariances of values at inputs of shape (points, inputs).

    ``groups`` gives the length scale of every input by its number; the columns of one category share it. Inputs
    beyond them have a slope each instead.
    """

    groups: NDArray[np.intp]

    @property
    def lengths(self) -> int:
        return int(self.groups.max(initial=-1)) + 1

    def start(self) -> Array:
        """The prior mean of all hyperparameters: log length scales, then the log variance of the noise."""
        # distances grow with the root of the number of inputs (Hvarfner et al. 2024)
        length = 0.5 * math.log(max(self.lengths, 1))
        return np.array([length] * self.lengths + [NOISE[0]])

    def __call__(self, a: Array, b: Array, theta: Array) -> Array:
        squared = _squared(self._scaled(a, theta), self._scaled(b, theta))
        # Bayesian linear regression on the inputs with a slope, written as a kernel
        line = self._sloped(a) @ self._sloped(b).T
        return _matern(np.sqrt(squared)) + line

    def variances(self, x: Array) -> Array:
        """The diagonal of ``self(x, x)``."""
        line = (self._sloped(x) ** 2).sum(axis=1)
        return np.asarray(1 + line)

    def slopes(self, x: Array, theta: Array, weights: Array) -> Array:
        """The derivatives of ``sum(weights * self(x, x))`` by the log length scales; ``weights`` is symmetric."""
        scaled = self._scaled(x, theta)
        weighted = weights * _matern_slope(np.sqrt(_squared(scaled, scaled)))
        rows = weighted.sum(axis=1)
        # sum over pairs of w_ij (x_i - x_j)^2, multiplied out: no (points, points, inputs) array
        squares = rows @ scaled**2
        products = (scaled * (weighted @ scaled)).sum(axis=0)
        by_input = 2 * (squares - products)
        sums = np.bincount(self.groups, by_input, self.lengths)
        return sums.astype(np.float64)

    def _scaled(self, x: Array, theta: Array) -> Array:
        # divided by the length scale, which is searched as a logarithm
        curved = x[:, : len(self.groups)]
        return np.asarray(curved * np.exp(-theta[self.groups]))

    def _sloped(self, x: Array) -> Array:
        return SLOPE * x[:, len(self.groups) :]


@dataclass(frozen=True)
class GaussianProcess:
    """The posterior over values given those at ``x`` (points, inputs) (Rasmussen and Williams 2006, ch. 2)."""

    kernel: Kernel
    theta: Array
    x: Array
    mean: float
    scale: float
    lower: Array
    half: Array

    @classmethod
    def fit(
        cls,
        kernel: Kernel,
        x: Array,
        y: Array,
        noise: Array | None = None,
        theta: Array | None = None,
    ) -> GaussianProcess:
        """With the most likely hyperparameters.

        ``y``: (points,). ``noise``: the variance of each observation relative to the others, (points,).
        ``theta``: where the search for hyperparameters starts.
        """
        noise = np.ones(len(x)) if noise is None else noise
        mean = float(y.mean())
        spread = float(y.std()) or 1.0
        # standardised, so that priors fit whatever the unit
        z = (y - mean) / spread
        start = kernel.start() if theta is None else theta
        settings = {"bounds": [BOUNDS] * len(start), "jac": True}
        found = minimize(
            lambda theta: _loss(kernel, x, z, noise, theta),
            start,
            method="L-BFGS-B",
            options={"maxiter": OPTIMIZER_STEPS},
            **settings,
        )
        return cls.at(kernel, x, y, noise, np.asarray(found.x))

    @classmethod
    def at(
        cls, kernel: Kernel, x: Array, y: Array, noise: Array, theta: Array
    ) -> GaussianProcess:
        """With given hyperparameters."""
        mean = float(y.mean())
        spread = float(y.std()) or 1.0
        # (y - mean) is whitened by the Cholesky factor: half of what the inverse does, kept for predictions
        lower = _lower(kernel, x, noise, theta)
        half = solve_triangular(lower, (y - mean) / spread, lower=True)
        # the scale of the most likely prior, in closed form (Rasmussen and Williams 2006, eq. 5.8)
        factor = math.sqrt(half @ half / len(x)) or 1.0
        return cls(kernel, theta, x, mean, spread * factor, lower, half / factor)

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the values at ``x`` (points, inputs), without noise: (points,) each."""
        cross = self._whitened(x)
        # rounding may leave it just below 0
        explained = (cross**2).sum(axis=0)
        variance = np.maximum(self.kernel.variances(x) - explained, 0)
        mean = self.mean + self.scale * (cross.T @ self.half)
        return mean, self.scale * np.sqrt(variance)

    def believing(self, x: Array) -> GaussianProcess:
        """As if the mean had been observed at ``x`` (points, inputs): no mean changes, but doubt shrinks there."""
        cross = self._whitened(x)
        noise = math.exp(self.theta[-1]) + JITTER
        # the Cholesky factor grows by rows: what is there already stays as it is
        prior = self.kernel(x, x, self.theta)
        posterior = prior - cross.T @ cross
        noisy = posterior + noise * np.eye(len(x))
        corner = np.linalg.cholesky(noisy)
        above = np.zeros(cross.shape)
        lower = np.block([[self.lower, above], [cross.T, corner]])
        # observed at the mean: nothing is left to explain there
        half = np.concatenate([self.half, np.zeros(len(x))])
        both = np.vstack([self.x, x])
        return replace(self, x=both, lower=lower, half=half)

    def _whitened(self, x: Array) -> Array:
        """Covariances of the observations with ``x`` (points, inputs), by the inverse of the factor."""
        cross = self.kernel(self.x, x, self.theta)
        return np.asarray(solve_triangular(self.lower, cross, lower=True))


def _lower(kernel: Kernel, x: Array, noise: Array, theta: Array) -> Array:
    covariance = kernel(x, x, theta)
    variances = np.exp(theta[-1]) * noise + JITTER
    covariance[np.diag_indices_from(covariance)] += variances
    return np.asarray(np.linalg.cholesky(covariance))


def _loss(
    kernel: Kernel, x: Array, z: Array, noise: Array, theta: Array
) -> tuple[float, Array]:
    """Negative log posterior of hyperparameters, with the most likely scale of the values, and its gradient."""
    lower = _lower(kernel, x, noise, theta)
    alpha = cho_solve((lower, True), z)
    explained = float(z @ alpha) or JITTER
    fit = -0.5 * len(z) * math.log(explained)
    half_log_determinant = np.log(np.diag(lower)).sum()
    likelihood = fit - half_log_determinant
    # d likelihood / d covariance, with which every hyperparameter's derivative is one sum
    inverse = cho_solve((lower, True), np.eye(len(z)))
    weights = 0.5 * (len(z) / explained * np.outer(alpha, alpha) - inverse)
    by_noise = np.diag(weights) @ noise * np.exp(theta[-1])
    gradient = np.append(kernel.slopes(x, theta, weights), by_noise)
    # the prior is normal in the logs
    spread = np.append(np.full(kernel.lengths, LENGTH_SPREAD), NOISE[1])
    away = (theta - kernel.start()) / spread
    return 0.5 * away @ away - likelihood, away / spread - gradient


def _squared(a: Array, b: Array) -> Array:
    # by one matrix product; rounding may leave it just below 0
    of_a = (a**2).sum(1)[:, None]
    of_b = (b**2).sum(1)[None]
    squared = of_a + of_b - 2 * a @ b.T
    return np.asarray(np.maximum(squared, 0))


def _matern(distance: Array) -> Array:
    r = math.sqrt(5.0) * distance
    polynomial = 1 + r + r**2 / 3
    return np.asarray(polynomial * np.exp(-r))


def _matern_slope(distance: Array) -> Array:
    """What a squared difference of one scaled input is multiplied with, in the derivative by its log length."""
    r = math.sqrt(5.0) * distance
    polynomial = 5 / 3 * (1 + r)
    return np.asarray(polynomial * np.exp(-r))
