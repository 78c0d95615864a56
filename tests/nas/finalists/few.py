"""Images of a search that takes no time."""

from __future__ import annotations

import numpy as np

from evaluators.data.in_memory import digits
from evaluators.data.split import Source


def few_digits() -> Source:
    """300 of the digits to search with, 60 to test; they come in random order."""
    whole = digits()
    return Source(
        whole.development.at(np.arange(300)),
        whole.test.at(np.arange(60)),
        small_images=True,
    )
