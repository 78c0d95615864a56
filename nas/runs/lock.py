"""One driver at a time on a run folder."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evaluators.lease import Holder, leased


@contextmanager
def sole_driver(folder: Path) -> Iterator[None]:
    """Hold the run folder; what a driver that died has left of it is taken over, from any host.

    Raises:
        ValueError: if another search is at work in it.
    """

    def refuse(holder: Holder) -> None:
        raise ValueError(
            f"{folder}: another search is at work in this folder: {holder}"
        )

    def tell(text: str) -> None:
        warnings.warn(text, stacklevel=2)

    with leased(folder / ".driver.lease", refuse, tell):
        yield
