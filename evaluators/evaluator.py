"""What an evaluator is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

from search_spaces import Arch

Metrics = dict[str, float | int | str]


@runtime_checkable
class Evaluator(Protocol):
    """Architecture in, numbers out.

    Evaluators are sent to worker processes, so keep plain values in them and load data in ``evaluate``;
    a frozen dataclass is ideal. ``evaluators.testing.EvaluatorContract`` tests one.
    """

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the numbers that ``evaluate`` yields, ``epoch`` aside."""

    def evaluate(
        self, arch: Arch, *, seed: int = 0, checkpoint: Path | None = None
    ) -> Iterator[Metrics]:
        """Yield one dict of metrics, or one an epoch with ``epoch`` counted from 1.

        Strings are facts that go with the numbers, such as the device. ``checkpoint`` is a file to continue
        from after an interruption: finished epochs are yielded again, so that the sequence is the same with
        and without an interruption.
        """
