"""Values made more normal before a Gaussian process is fitted to them, and back."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy
from scipy.optimize import minimize_scalar

from results.columns import Array

TOO_FEW = 20
"""Values for which no shape is fitted."""
STRAIGHT = 1.0
"""The power that leaves values as they are."""


@dataclass(frozen=True)
class Warp:
    """Yeo and Johnson's power transformation of standardised values, or of their logarithms."""

    logarithm: bool
    centre: float
    scale: float
    power: float

    @classmethod
    def of(cls, values: Array) -> Warp:
        """The likelier of both; the values themselves if they are few. ``values``: (points,), at least one."""
        centre = float(values.mean())
        scale = float(values.std()) or 1.0
        plain = cls(False, centre, scale, STRAIGHT)
        if len(values) < TOO_FEW or values.min() == values.max():
            return plain
        standard = (values - centre) / scale
        # these powers keep the whole line within reach
        found = minimize_scalar(
            lambda power: -_likelihood_of_power(standard, power),
            bounds=(0, 2),
            method="bounded",
        )
        if values.min() > 0:
            logs = np.log(values)
            if _likelihood(logs, -np.log(values / scale)) > -found.fun:
                return cls(True, float(logs.mean()), float(logs.std()), STRAIGHT)
        return cls(False, centre, scale, float(found.x))

    def __call__(self, values: Array) -> Array:
        plain = np.log(values) if self.logarithm else values
        standard = (plain - self.centre) / self.scale
        return np.asarray(scipy.stats.yeojohnson(standard, self.power))

    def inverse(self, warped: Array) -> Array:
        plain = self.centre + self.scale * _inverse(warped, self.power)
        return np.exp(plain) if self.logarithm else plain


def _likelihood_of_power(values: Array, power: float) -> float:
    slopes = (power - 1) * np.sign(values) * np.log1p(abs(values))
    return _likelihood(scipy.stats.yeojohnson(values, power), slopes)


def _likelihood(warped: Array, log_slopes: Array) -> float:
    """The log likelihood of values that are normal once warped, up to a constant."""
    fit = -0.5 * len(warped) * math.log(warped.var())
    return float(log_slopes.sum() + fit)


def _inverse(warped: Array, power: float) -> Array:
    """Yeo and Johnson (2000), equation 1, solved for the value."""
    up = np.maximum(warped, 0)
    down = np.maximum(-warped, 0)
    above = np.expm1(up) if power == 0 else (1 + power * up) ** (1 / power) - 1
    other = 2 - power
    below = np.expm1(down) if other == 0 else (1 + other * down) ** (1 / other) - 1
    return np.asarray(above - below)
