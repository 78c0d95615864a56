"""The contract of an evaluator as a test class to inherit."""

# ruff: noqa: S101 - these are tests

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import cloudpickle
import pytest
import torch

from evaluators.evaluator import Evaluator, Metrics
from search_spaces import Arch, ResNeSt


class EvaluatorContract:
    """Give your evaluator in the fixture ``evaluator`` and get these tests.

    ``deterministic`` names the metrics that the same seed must give again; ``arch`` is what gets evaluated.
    """

    deterministic: tuple[str, ...] = ()
    arch: Arch = ResNeSt(depths=(1, 1, 1, 1), widths=(8, 8, 8, 8), stem_width=8)

    @pytest.fixture
    def evaluator(self) -> Evaluator:
        pytest.fail("give your evaluator in a fixture of this name")

    @pytest.fixture
    def rows(self, evaluator: Evaluator) -> list[Metrics]:
        return list(evaluator.evaluate(self.arch))

    def test_is_an_evaluator(self, evaluator: Evaluator) -> None:
        assert isinstance(evaluator, Evaluator)

    def test_metrics_names_what_is_yielded(
        self, evaluator: Evaluator, rows: list[Metrics]
    ) -> None:
        assert rows
        for row in rows:
            numbers = {
                name for name, value in row.items() if not isinstance(value, str)
            }
            assert numbers - {"epoch"} == set(evaluator.metrics)

    def test_numbers_are_finite(self, rows: list[Metrics]) -> None:
        numbers = [
            value
            for row in rows
            for value in row.values()
            if not isinstance(value, str)
        ]
        assert all(math.isfinite(number) for number in numbers)

    def test_json_keeps_every_value(self, rows: list[Metrics]) -> None:
        assert json.loads(json.dumps(rows)) == rows

    def test_one_row_or_epochs_from_1(self, rows: list[Metrics]) -> None:
        epochs = [row["epoch"] for row in rows if "epoch" in row]
        assert epochs == list(range(1, len(rows) + 1)) if epochs else len(rows) == 1

    def test_survives_pickling(self, evaluator: Evaluator, rows: list[Metrics]) -> None:
        copied = cloudpickle.loads(cloudpickle.dumps(evaluator))
        assert self._repeatable(copied.evaluate(self.arch)) == self._repeatable(rows)

    def test_an_interruption_changes_nothing(
        self, evaluator: Evaluator, rows: list[Metrics], tmp_path: Path
    ) -> None:
        checkpoint = tmp_path / "checkpoint"
        next(evaluator.evaluate(self.arch, checkpoint=checkpoint))
        resumed = evaluator.evaluate(self.arch, checkpoint=checkpoint)
        assert self._repeatable(resumed) == self._repeatable(rows)

    def test_leaves_the_global_generator_alone(self, evaluator: Evaluator) -> None:
        before = torch.get_rng_state()
        next(evaluator.evaluate(self.arch))
        assert torch.equal(torch.get_rng_state(), before)

    def _repeatable(self, rows: Iterator[Metrics] | list[Metrics]) -> list[Metrics]:
        return [
            {name: row[name] for name in ("epoch", *self.deterministic) if name in row}
            for row in rows
        ]
