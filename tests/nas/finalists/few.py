"""A search that takes no time, and its finalists."""

from __future__ import annotations

import numpy as np

from evaluators.data.in_memory import digits
from evaluators.data.split import Source

SETTINGS = """
space: {name: resnest, depth1: 1, depth2: 1, depth3: 1, depth4: 1, width1: 8, width2: [8, 16], width3: [16, 32],
        width4: [16, 32], stem_width: 8, deep_stem: false}
objectives: {accuracy: max, macs: min}
limits: {macs: [0, 1.0e+6]}
evaluators: [complexity, training]
data: {name: "tests.nas.finalists.few:few_digits", subset: 150}
training: {epochs: 1}
sampler: random
trials: 9
engine: serial
"""
HOW = ("networks=4", "epochs=2", "random=2", "seeds=2", "batch_size=64")


def few_digits() -> Source:
    """300 of the digits to search with, 60 to test; they come in random order."""
    whole = digits()
    return Source(
        whole.development.at(np.arange(300)),
        whole.test.at(np.arange(60)),
        small_images=True,
    )
